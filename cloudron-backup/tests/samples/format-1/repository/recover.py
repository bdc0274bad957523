#!/usr/bin/env python3
"""Restore a backup from this repository with nothing but Python 3 and the programs `age` and `zstd`.

usage: recover.py ID|latest DIR

Run it in a copy of the repository: the folder that holds cloudron-backup.json. The backup goes below DIR by
its full paths. The backup key is asked for, or read from the file named by CLOUDRON_BACKUP_KEY_FILE. A paper
key (AGE-SECRET-KEY-1…) is given in its place.

It checks the hashes of the manifest, of every pack and of every file, restores what can be restored, names
what cannot, and exits with 0 only when everything was restored. Format: docs/backup-format.md.
"""
import base64, collections, getpass, hashlib, json, os, pty, re, select, shutil, stat, subprocess, sys, tempfile, time

REPO = os.path.dirname(os.path.abspath(__file__))
MISSING = [tool for tool in ("age", "zstd") if not shutil.which(tool)]
failures = 0


def fail(text):
    """Something that cannot be restored: said, counted, and the rest goes on."""
    global failures
    failures += 1
    print(f"FAILED: {text}", file=sys.stderr)


def stop(text):
    print(f"recover.py: {text}", file=sys.stderr)
    sys.exit(1)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def listdir(name):
    """The names in a folder of the repository, which may be missing."""
    folder = os.path.join(REPO, name)
    return os.listdir(folder) if os.path.isdir(folder) else []


def is_aborted(name):
    """Whether the object is no summary, but what a prune put in the place of one whose backup had died."""
    try:
        with open(os.path.join(REPO, "snapshots", name)) as file:
            return json.load(file).get("aborted") is True
    except (OSError, ValueError, AttributeError):
        return False


def show(path):
    return os.fsdecode(path)


# --- the key ---------------------------------------------------------------------------------------------


def read_backup_key():
    name = os.environ.get("CLOUDRON_BACKUP_KEY_FILE")
    if not name:
        return getpass.getpass("Backup key: ").encode()
    with open(name, "rb") as file:
        key = file.read()
    return key[:-2] if key.endswith(b"\r\n") else key[:-1] if key.endswith(b"\n") else key


def age_with_passphrase(source, passphrase):
    """Runs `age -d`, which reads a passphrase from a terminal only: so it is given one."""
    output, output_end = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.dup2(output_end, 1)
            os.execvp("age", ["age", "-d", source])
        finally:
            os._exit(127)
    os.close(output_end)
    plain, said, sent = b"", b"", False
    deadline = time.monotonic() + 300
    open_ends = [output, terminal]
    while output in open_ends and time.monotonic() < deadline:
        for end in select.select(open_ends, [], [], 1)[0]:
            try:
                block = os.read(end, 65536)
            except OSError:  # the terminal's other end was closed
                block = b""
            if not block:
                open_ends.remove(end)
            elif end == output:
                plain += block
            else:
                said += block
                if not sent and b"passphrase" in said.lower():
                    # The prompt comes before the echo is switched off; wait for that, or the key shows.
                    time.sleep(0.2)
                    os.write(terminal, passphrase + b"\n")
                    sent = True
    os.close(output)
    os.close(terminal)
    ok = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return plain if ok else None


def is_paper(path):
    """Whether a key opens with an age identity rather than with a passphrase: its header says so, in clear."""
    with open(path, "rb") as file:
        return file.read(200).startswith(b"age-encryption.org/v1\n-> X25519 ")


def age_with_identity(path, secret):
    age = Age(secret.decode("ascii", "replace"))
    try:
        return age.decrypt(path)
    except ValueError:
        return None


def unlock(recipient):
    """The repository's identity, as a line AGE-SECRET-KEY-1…"""
    key = read_backup_key()
    paper = re.fullmatch(rb"\s*(AGE-SECRET-KEY-1\S+)\s*", key, re.I)
    folder = os.path.join(REPO, "keys")
    for name in sorted(os.listdir(folder) if os.path.isdir(folder) else []):
        path = os.path.join(folder, name)
        if not name.endswith(".age") or is_paper(path) != bool(paper):
            continue
        if paper:
            plain = age_with_identity(path, paper.group(1).upper())
        else:
            plain = age_with_passphrase(path, key)
        text = (plain or b"").decode("ascii", "replace")
        if found := re.search(r"^AGE-SECRET-KEY-1\S+", text, re.M):
            if f"# public key: {recipient}" in text:
                return found.group()
            print(f"keys/{name} is the key of another repository", file=sys.stderr)
    if paper:  # It may be the identity of the repository itself; if not, the manifest will not open.
        return paper.group(1).upper().decode("ascii", "replace")
    stop("the backup key does not open this repository")


class Age:
    """Decrypts with the identity. It is in a private file while the program runs, in memory where possible."""

    def __init__(self, identity):
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = tempfile.TemporaryDirectory(prefix="recover-", dir=place)
        self.identity = os.path.join(self.folder.name, "identity")
        with open(os.open(self.identity, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(identity + "\n")

    def command(self, path):
        return ["age", "-d", "-i", self.identity, path]

    def decrypt(self, path):
        done = subprocess.run(self.command(path), capture_output=True)
        if done.returncode != 0:
            raise ValueError(done.stderr.decode(errors="replace").strip().splitlines()[0])
        return done.stdout

    def lines(self, path):
        """The lines of an object whose plaintext is a zstd stream of JSON lines."""
        age = subprocess.Popen(self.command(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        zstd = subprocess.Popen(["zstd", "-dcq"], stdin=age.stdout, stdout=subprocess.PIPE)
        age.stdout.close()
        for line in zstd.stdout:
            yield json.loads(line)
        error = age.stderr.read()
        if zstd.wait() != 0 or age.wait() != 0:
            raise ValueError(f"{path}: {error.decode(errors='replace').strip()}")


# --- the chunks ------------------------------------------------------------------------------------------


class Chunks:
    """Gives chunks by their id. Keeps the last pack and the last few chunks in memory."""

    def __init__(self, age):
        self.age, self.where, self.packs = age, {}, []
        self.pack, self.plain, self.recent, self.bad = None, b"", collections.OrderedDict(), {}
        # Packs that are on their way out, in condemned/, are used for what no other pack has.
        names = [f"{kind}/{name}" for kind in ("index", "condemned") for name in sorted(listdir(kind))]
        for name in names:
            path = os.path.join(REPO, name)
            if not name.endswith(".age"):
                continue
            if sha256_of(path) != os.path.basename(name)[:-4]:
                print(f"{name} is damaged and not used", file=sys.stderr)
                continue
            for line in age.lines(path):
                number = len(self.packs)
                self.packs.append(line["pack"])
                there = os.path.exists(self.path(line["pack"]))
                for chunk, offset, length, raw in line["chunks"]:
                    known = self.where.get(bytes.fromhex(chunk))
                    if known is None or (there and not os.path.exists(self.path(self.packs[known[0]]))):
                        self.where[bytes.fromhex(chunk)] = (number, offset, length, raw)

    def path(self, pack):
        return os.path.join(REPO, "packs", pack[:2], pack + ".age")

    def open_pack(self, number):
        if self.pack == number:
            return
        if number in self.bad:
            raise ValueError(self.bad[number])
        pack = self.packs[number]
        name = f"packs/{pack[:2]}/{pack}.age"
        try:
            if not os.path.exists(self.path(pack)):
                raise ValueError(f"{name} is missing")
            if sha256_of(self.path(pack)) != pack:
                raise ValueError(f"{name} does not have the hash that it is named by")
            self.plain, self.pack = self.age.decrypt(self.path(pack)), number
        except (OSError, ValueError) as error:
            self.bad[number] = str(error)
            raise ValueError(str(error))

    def get(self, chunk):
        key = bytes.fromhex(chunk)
        if key in self.recent:
            self.recent.move_to_end(key)
            return self.recent[key]
        if key not in self.where:
            raise ValueError(f"chunk {chunk} is in no index")
        number, offset, length, raw = self.where[key]
        self.open_pack(number)
        content = unzstd(self.plain[offset : offset + length])
        if len(content) != raw:
            raise ValueError(f"chunk {chunk} does not have its length")
        self.recent[key] = content
        while len(self.recent) > 4:
            self.recent.popitem(last=False)
        return content


def unzstd(frame):
    # A frame of raw blocks, as for pictures, needs no program: RFC 8878, 3.1.1.
    if frame[:5] == b"\x28\xb5\x2f\xfd\xa0":
        out, at = [], 9
        while True:
            header = int.from_bytes(frame[at : at + 3], "little")
            if header >> 1 & 3:
                break
            out.append(frame[at + 3 : at + 3 + (header >> 3)])
            at += 3 + (header >> 3)
            if header & 1:
                return b"".join(out)
    done = subprocess.run(["zstd", "-dcq"], input=frame, capture_output=True)
    if done.returncode != 0:
        raise ValueError("a chunk does not decompress: " + done.stderr.decode(errors="replace").strip())
    return done.stdout


# --- the files -------------------------------------------------------------------------------------------


def field(entry, name):
    if name + "64" in entry:
        return base64.b64decode(entry[name + "64"])
    return entry.get(name, "").encode()


def names_of(path):
    """The names on an absolute path. One that could lead out of the target is refused."""
    names = path.split(b"/")
    if names[0] != b"" or (len(names) > 2 and b"" in names[1:]) or b".." in names or b"." in names:
        raise ValueError("the path leads out of the target")
    return [name for name in names if name]


FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Target:
    """The folder that is restored to, entered name by name and never through a symbolic link."""

    def __init__(self, path):
        os.makedirs(path, exist_ok=True)
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.last, self.fd = [], os.dup(self.root)

    def parent(self, names):
        """An open folder, valid until the next call. Folders on the way are made."""
        if names != self.last:
            os.close(self.fd)
            self.fd, self.last = os.dup(self.root), []
            for name in names:
                try:
                    os.mkdir(name, 0o700, dir_fd=self.fd)
                except FileExistsError:
                    pass
                child = os.open(name, FOLDER, dir_fd=self.fd)
                os.close(self.fd)
                self.fd = child
            self.last = names
        return self.fd


def metadata(entry, fd, path):
    """Owner, attributes, mode, times. `path` goes through an open folder and is not followed."""
    target = path if fd is None else fd
    follow = {} if fd is not None else {"follow_symlinks": False}
    if os.geteuid() == 0:
        os.chown(target, entry.get("uid", 0), entry.get("gid", 0), **follow)
    for name, value in entry.get("xattrs", []):
        try:
            os.setxattr(target, name, base64.b64decode(value), **follow)
        except OSError as error:
            fail(f"{show(field(entry, 'path'))}: attribute {name}: {error}")
    if entry["type"] != "symlink":
        os.chmod(target, entry.get("mode", 0))
    seconds, nanos = entry.get("mtime", [0, 0])
    moment = seconds * 1_000_000_000 + nanos
    os.utime(target, ns=(moment, moment), **follow)


def restore_file(entry, extents, folder, name, chunks):
    digest, size = hashlib.sha256(), 0
    temporary = b".recover-" + os.urandom(8).hex().encode()
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        with open(fd, "wb", closefd=True) as file:
            for extent in extents:
                chunk, length, offset = (list(extent) + [0])[:3]
                size += length
                if chunk is None:
                    file.seek(length, os.SEEK_CUR)
                    while length > 0:
                        digest.update(bytes(min(length, 1 << 20)))
                        length -= 1 << 20
                    continue
                part = chunks.get(chunk)[offset : offset + length]
                digest.update(part)
                file.write(part)
            file.flush()
            file.truncate(size)
            if size != entry.get("size", 0) or digest.hexdigest() != entry["sha256"]:
                raise ValueError("its content does not have the hash that the manifest says")
            metadata(entry, fd, None)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise


def restore(entry, extents, target, links, chunks):
    kind, names = entry["type"], names_of(field(entry, "path"))
    if kind == "dir":
        target.parent(names)
        return
    folder, name = target.parent(names[:-1]), names[-1]
    through = b"/proc/self/fd/%d/%s" % (folder, name)
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        raise ValueError("something is there already, and is kept")
    except FileNotFoundError:
        pass
    if kind == "file":
        restore_file(entry, extents, folder, name, chunks)
    elif kind == "symlink":
        os.symlink(field(entry, "target"), name, dir_fd=folder)
        metadata(entry, None, through)
    elif kind == "hardlink":
        first = names_of(field(entry, "target"))
        source = os.dup(folder)
        try:
            other = links.parent(first[:-1])
            os.link(first[-1], name, src_dir_fd=other, dst_dir_fd=source, follow_symlinks=False)
        finally:
            os.close(source)
    elif kind in ("fifo", "block", "char"):
        mode = {"fifo": stat.S_IFIFO, "block": stat.S_IFBLK, "char": stat.S_IFCHR}[kind]
        os.mknod(name, mode | 0o600, os.makedev(*entry.get("rdev", [0, 0])), dir_fd=folder)
        metadata(entry, None, through)
    else:
        raise ValueError(f"an entry of type {kind!r} is unknown here")


def continued(extents, entry, lines):
    """The extents of a file: those of its own line, then those of the lines behind it."""
    yield from extents
    while entry.get("more", 0) > 0:
        entry["more"] -= 1
        yield from next(lines)["extents"]


def restore_all(lines, target, links, chunks):
    count, ended = 0, False
    for entry in lines:
        if entry["type"] == "end":
            ended = entry.get("entries", 0) == count
            break
        count += 1
        extents = continued(entry.pop("extents", []), entry, lines)
        try:
            restore(entry, extents, target, links, chunks)
        except (OSError, ValueError) as error:
            fail(f"{show(field(entry, 'path'))}: {error}")
        for _ in extents:  # whatever was not used because of a failure
            pass
    if not ended:
        fail("the manifest is cut: files behind this point are missing")


def finish_folders(lines, target):
    """What folders have besides their content, from the inside out."""
    waiting = []

    def finish(until):
        while waiting and (until is None or waiting[-1][0] != until[: len(waiting[-1][0])]):
            names, entry = waiting.pop()
            try:
                metadata(entry, target.parent(names), None)
            except (OSError, ValueError) as error:
                fail(f"{show(field(entry, 'path'))}: {error}")

    for entry in lines:
        if entry.get("type") != "dir":
            continue
        try:
            names = names_of(field(entry, "path"))
        except ValueError:
            continue
        finish(names)
        waiting.append((names, entry))
    finish(None)


def find(wanted):
    ids = [name[:-5] for name in listdir("snapshots") if name.endswith(".json") and not is_aborted(name)]
    if wanted != "latest":
        if wanted not in ids:
            stop(f"there is no backup {wanted}; there are: {' '.join(sorted(ids)) or 'none'}")
        return wanted
    return latest(ids) or stop("there is no backup here")


def latest(ids):
    """Of the backups of each origin the one with the highest number, and of these the one with the latest time."""
    of_origin = {}
    for name in ids:
        time = re.search(r"\d{4}-\d\d-\d\dT[\d-]+Z", name)
        try:
            with open(os.path.join(REPO, "snapshots", name + ".json")) as file:
                summary = json.load(file)
            origin = summary.get("origin") or summary
            repository, number = str(origin["repository"]), int(origin["sequence"])
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            continue
        if time:
            rank = (number, time.group(), name)
            of_origin[repository] = max(rank, of_origin.get(repository, rank))
    return max(((time, name) for _, time, name in of_origin.values()), default=("", ""))[1]


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    if MISSING:
        stop(f"install {' and '.join(MISSING)} first, as in `apt install age zstd`")
    with open(os.path.join(REPO, "cloudron-backup.json")) as file:
        config = json.load(file)
    if config.get("format") != "cloudron-backup" or config.get("version") != 1:
        stop("cloudron-backup.json has a format that this program does not know")
    if "encryption" in config:
        stop(f"this repository is encrypted by {config['encryption']!r}, and opens with the program that made it only")
    backup = find(sys.argv[1])
    with open(os.path.join(REPO, "snapshots", backup + ".json")) as file:
        summary = json.load(file)
    manifest = os.path.join(REPO, "snapshots", backup + ".age")
    if summary["id"] != backup or summary["repository"] != config["id"]:
        stop(f"the summary of {backup} is that of another backup")
    if not os.path.exists(manifest) or sha256_of(manifest) != summary["manifest"]["sha256"]:
        stop(f"the manifest of {backup} is missing or damaged; try another backup")

    age = Age(unlock(config["recipients"]["data"][0]))
    os.umask(0o077)
    lines = age.lines(manifest)
    try:
        header = next(lines)
    except (StopIteration, ValueError) as error:
        stop(f"the key does not open the manifest of {backup}: {error}")
    if header.get("manifest") != 1 or header.get("id") != backup:
        stop(f"the manifest of {backup} is that of another backup or has another format")
    target, links = Target(sys.argv[2]), Target(sys.argv[2])
    restore_all(lines, target, links, Chunks(age))
    finish_folders(age.lines(manifest), target)
    os.sync()
    if failures:
        stop(f"{failures} things failed; everything else of {backup} is in {sys.argv[2]}")
    print(f"{backup} is restored below {sys.argv[2]}: {summary['files']} files, {summary['bytes']} bytes, all hashes checked")


if __name__ == "__main__":
    main()
