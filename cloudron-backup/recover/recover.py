#!/usr/bin/env python3
"""Restore a backup from this repository with nothing but Python 3 and the programs `age` and `zstd`.

usage: recover.py [--unsigned] ID|latest DIR

Run it in a copy of the repository: the folder that holds cloudron-backup.json. The backup goes below DIR by
its full paths. The backup key is asked for, or read from the file named by CLOUDRON_BACKUP_KEY_FILE. A paper
key (AGE-SECRET-KEY-1…) is given in its place.

It checks the owner's signatures, and the hashes of the manifest, of every pack and of every file. It restores what
can be restored, names what cannot, and exits with 0 only when everything was restored. A backup that no writer of
the repository signed is refused; with --unsigned it is restored, and may hold anything. Format:
docs/backup-format.md.
"""
import base64, collections, getpass, hashlib, json, os, pty, re, select, shutil, signal, stat, struct, subprocess
import sys, time

REPO = os.path.dirname(os.path.abspath(__file__))
MISSING = [tool for tool in ("age", "zstd") if not shutil.which(tool)]
MIB = 1 << 20
# What an object says is bounded before it is believed.
MAX_JSON, MAX_LIST, MAX_KEY, MAX_INDEX, MAX_PACK = MIB, 16 * MIB, 64 << 10, 64 * MIB, 64 * MIB
MAX_LINE, MAX_CHUNK, MAX_FRAME = 16 * MIB, 16 * MIB, 17 * MIB
MAX_FILE, EXTENTS_IN_LINE, MAX_EXTENTS, MAX_PATH = 16 << 40, 1024, 8 * MIB, MIB
MAX_WORK_FACTOR, MAX_KEYS = 22, 20
failures = 0


def say(text, to=sys.stderr):
    """Prints a line. What comes from the repository may hold anything, and must not reach the terminal as it is."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    print(shown.encode("utf-8", "backslashreplace").decode(), file=to, flush=True)


def fail(text):
    """Something that cannot be restored: said, counted, and the rest goes on."""
    global failures
    failures += 1
    say(f"FAILED: {text}")


def stop(text):
    say(f"recover.py: {text}")
    sys.exit(1)


# --- the objects -----------------------------------------------------------------------------------------


def path_of(name):
    return os.path.join(REPO, *name.split("/"))


def listed(folder, ending):
    """The objects in a folder of the repository, which may be missing."""
    path = path_of(folder)
    names = os.listdir(path) if os.path.isdir(path) else []
    return [f"{folder}/{name}" for name in sorted(names) if name.endswith(ending)]


def size_of(name, most):
    """The size of an object."""
    try:
        status = os.stat(path_of(name))
    except FileNotFoundError:
        raise ValueError(f"{name} is missing")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{name} is no file")
    if status.st_size > most:
        raise ValueError(f"{name} has {status.st_size} bytes, which is more than it can have")
    return status.st_size


def read(name, most):
    size_of(name, most)
    with open(path_of(name), "rb") as file:
        return file.read(most)


def read_json(name, most=MAX_JSON):
    """A JSON object. Raises ValueError for anything else."""
    content = read(name, most)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"{name} is damaged: it is no JSON object")
    return value, hashlib.sha256(content).hexdigest()


def check_hash(name, most, expected=None):
    """Checks that an object has the SHA-256 that it is named by, or another one."""
    size_of(name, most)
    digest = hashlib.sha256()
    with open(path_of(name), "rb") as file:
        while block := file.read(MIB):
            digest.update(block)
    if digest.hexdigest() != (expected or name.rsplit("/", 1)[1].split(".")[0]):
        raise ValueError(f"{name} is damaged: it does not have its hash")


def is_hex(value, digits):
    return isinstance(value, str) and len(value) == digits and not value.strip("0123456789abcdef")


def is_int(value, first, last):
    return type(value) is int and first <= value <= last


# --- BLAKE3, as far as it is needed: the other keys follow from the identity by it -----------------------

WORD = 0xFFFFFFFF
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
START, END, PARENT, ROOT, KEYED, CONTEXT, MATERIAL = 1, 2, 4, 8, 16, 32, 64


def compress(key, block, counter, flags):
    """The chaining value of a block of up to 64 bytes."""
    m = struct.unpack("<16I", block.ljust(64, b"\0"))
    v = [*key, *IV[:4], counter & WORD, counter >> 32, len(block), flags]
    for _ in range(7):
        for lane, (a, b, c, d) in enumerate(LANES):
            x, y = m[2 * lane], m[2 * lane + 1]
            va, vb = (v[a] + v[b] + x) & WORD, v[b]
            vd = v[d] ^ va
            vd = (vd >> 16 | vd << 16) & WORD
            vc = (v[c] + vd) & WORD
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & WORD
            va = (va + vb + y) & WORD
            vd ^= va
            vd = (vd >> 8 | vd << 24) & WORD
            vc = (vc + vd) & WORD
            vb ^= vc
            v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & WORD, vc, vd
        m = [m[i] for i in ORDER]
    return tuple(v[i] ^ v[i + 8] for i in range(8))


def blake3(data, key=IV, mode=0, counter=0, root=ROOT):
    if len(data) <= 1024:
        blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
        for n, block in enumerate(blocks):
            flags = mode | (START if n == 0 else 0) | (END | root if n == len(blocks) - 1 else 0)
            key = compress(key, block, counter, flags)
        return key
    left = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
    halves = (blake3(data[:left], key, mode, counter, 0), blake3(data[left:], key, mode, counter + left // 1024, 0))
    return compress(key, struct.pack("<16I", *halves[0], *halves[1]), 0, mode | PARENT | root)


def derive_key(context, secret):
    return struct.pack("<8I", *blake3(secret, blake3(context.encode(), mode=CONTEXT), MATERIAL))


# --- ed25519 (RFC 8032) ----------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
NEUTRAL = (0, 1, 1, 0)


def add(p, q):
    """The sum of two points on the curve, in extended coordinates (5.1.4)."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def double(p):
    a, b, c = p[0] * p[0] % P, p[1] * p[1] % P, 2 * p[2] * p[2] % P
    h = a + b
    e, g = h - (p[0] + p[1]) ** 2 % P, a - b
    f = c + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def combine(first, p, second, q):
    """The sum of two points, each taken as often as a number says."""
    table, result = (None, p, q, add(p, q)), NEUTRAL
    for bit in range(max(first.bit_length(), second.bit_length()) - 1, -1, -1):
        result = double(result)
        if chosen := (first >> bit & 1) | (second >> bit & 1) << 1:
            result = add(result, table[chosen])
    return result


def has_small_order(p):
    x, y, z, _ = double(double(double(p)))
    return x % P == 0 and (y - z) % P == 0


def encode(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(text):
    """The point that 32 bytes stand for (5.1.3). Raises ValueError where there is none."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("no point on the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def public_key(seed):
    number = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return encode(combine(number & (1 << 254) - 8 | 1 << 254, BASE, 0, BASE))


def is_signed(text, signature, key):
    """Whether a signature is that of a key (5.1.7). Keys and signatures of a small order are refused."""
    try:
        signature, number = bytes.fromhex(signature), int.from_bytes(bytes.fromhex(signature)[32:], "little")
        point, commitment = decode(key), decode(signature[:32])
    except (TypeError, ValueError):
        return False
    if len(signature) != 64 or number >= L or has_small_order(point) or has_small_order(commitment):
        return False
    factor = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    negative = (P - point[0], point[1], 1, P - point[3])
    return encode(combine(number, BASE, factor, negative)) == signature[:32]


def is_signed_json(value, context, key):
    """Whether an object bears a signature over the rest of it, in the one way that JSON is written for that."""
    rest = {name: member for name, member in value.items() if name != "signature"}
    try:
        text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return is_signed(f"cloudron-backup {context}\n".encode() + text, value.get("signature"), key)


# --- the key ---------------------------------------------------------------------------------------------


def read_backup_key():
    name = os.environ.get("CLOUDRON_BACKUP_KEY_FILE")
    if not name:
        return getpass.getpass("Backup key: ").encode()
    with open(name, "rb") as file:
        key = file.read(MAX_KEY)
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


def key_objects(paper, description):
    """The key objects that may open, those that the owner signed first, then from the cheapest on."""
    found, seen, untried = [], set(), 0
    repository, owner = description.get("id"), description.get("owner")
    for name in listed("keys", ".age") + listed("copies/keys", ".age"):
        try:
            content = read(name, MAX_KEY)
        except ValueError as error:
            say(str(error))
            continue
        digest = hashlib.sha256(content).hexdigest()
        named = re.search(r"-([0-9a-f]{16})\.age$", name)
        header = re.match(rb"age-encryption.org/v1\n-> (?:(X25519) |scrypt \S+ (\d{1,3})\n)", content)
        if (named and named.group(1) != digest[:16]) or not header:
            say(f"{name} is damaged and not used")
            continue
        factor = int(header.group(2) or 0)
        if digest in seen or bool(header.group(1)) != bool(paper):
            continue
        seen.add(digest)
        signed = False
        try:
            statement, _ = read_json(f"keys/{os.path.basename(name)[:-4]}.json")
            says = (statement.get("object"), statement.get("repository")) == (digest, repository)
            signed = says and is_signed_json(statement, "key v2", bytes.fromhex(owner))
        except (ValueError, TypeError):
            pass
        found.append((not signed, factor, name))
    work, tried, chosen = 0, 0, []
    for unsigned, factor, name in sorted(found):
        work += 1 << factor if unsigned else 0
        tried += unsigned
        if factor > MAX_WORK_FACTOR or (unsigned and (tried > MAX_KEYS or work > 2 << MAX_WORK_FACTOR)):
            untried += 1
        else:
            chosen.append(name)
    if untried:
        say(f"{untried} objects in keys/ are not tried, because it would take too long")
    return chosen


def unlock(descriptions):
    """The repository's identity, as a line AGE-SECRET-KEY-1…"""
    key = read_backup_key()
    paper = re.fullmatch(rb"\s*(AGE-SECRET-KEY-1[0-9A-Z]+)\s*", key, re.I)
    secret = paper and paper.group(1).upper().decode()
    recipients = [description.get("recipients", {}).get("data", [None])[0] for description in descriptions]
    other = None
    for name in key_objects(paper, descriptions[0] if descriptions else {}):
        try:
            plain = Age(secret).decrypt(name, MAX_KEY) if paper else age_with_passphrase(path_of(name), key)
        except ValueError:
            continue
        text = (plain or b"").decode("ascii", "replace")
        if found := re.search(r"^AGE-SECRET-KEY-1[0-9A-Z]+$", text, re.M):
            named = re.search(r"^# public key: (\S+)$", text, re.M)
            if not recipients or (named and named.group(1) in recipients):
                return found.group()
            say(f"{name} is the key of another repository, or cloudron-backup.json was changed")
            other = other or found.group()
    # The paper key may be the identity of the repository itself; if not, the manifest will not open.
    return other or secret or stop("the backup key does not open this repository")


def scalar(identity):
    """The 32 secret bytes of an identity. Its checksum was checked by age."""
    digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    number = 0
    for letter in identity.lower().split("1", 1)[1][:-6]:
        number = number << 5 | digits.index(letter)
    return (number >> 4).to_bytes(32, "big")


class Keys:
    """What follows from the identity."""

    def __init__(self, identity):
        secret = scalar(identity)
        derived = lambda use: derive_key(f"cloudron-backup 2026-11 v1 {use}", secret)
        self.owner = public_key(derived("owner signing seed"))
        # Of a repository of format 1: the key that all its writers share.
        self.first = public_key(derived("snapshot signing seed"))
        self.chunk = struct.unpack("<8I", derived("chunk id key"))


class Age:
    """Decrypts with the identity, which is handed over through a pipe and in no file."""

    def __init__(self, identity):
        self.identity = identity.encode() + b"\n"

    def start(self, name):
        age = subprocess.Popen(["age", "-d", "-i", "-", path_of(name)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            age.stdin.write(self.identity)
            age.stdin.close()
        except BrokenPipeError:  # what it says tells why
            pass
        return age

    def decrypt(self, name, most):
        size_of(name, most)
        with self.start(name) as age:
            plain, error = age.stdout.read(), age.stderr.read()
        if age.returncode != 0:
            raise ValueError(f"{name}: " + (error.decode(errors="replace").strip().splitlines() or ["age failed"])[0])
        return plain

    def lines(self, name, most=None):
        """The lines of an object whose plaintext is a zstd stream of JSON lines, which unpacks to so much at most."""
        with self.start(name) as age:
            zstd = subprocess.Popen(["zstd", "-dcq"], stdin=age.stdout, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
            age.stdout.close()
            with zstd:
                try:
                    while line := zstd.stdout.readline(MAX_LINE):
                        most = None if most is None else most - len(line)
                        if most is not None and most < 0:
                            raise ValueError(f"{name} unpacks to more than it can hold")
                        if not line.endswith(b"\n") and len(line) == MAX_LINE:
                            raise ValueError(f"{name} has a line of more than {MAX_LINE} bytes")
                        yield line
                    error = age.stderr.read()
                    if zstd.wait() != 0 or age.wait() != 0:
                        raise ValueError(f"{name} is damaged: {error.decode(errors='replace').strip()}")
                finally:
                    zstd.kill()
                    age.kill()


# --- whose word counts -----------------------------------------------------------------------------------


class Trust:
    """The owner of the repository and the writers that the owner certified."""

    def __init__(self, keys, repository, version):
        self.keys, self.repository, self.version = keys, repository, version
        self.certified, self.revoked, self.forgotten = {}, {}, collections.defaultdict(list)
        for name in listed("writers", ".json") + listed("revoked", ".json"):
            self.read(name, self.revoke, "revocation v2")
        for name in listed("forgotten", ".json"):
            self.read(name, self.forget, f"forgotten v{version}")

    def read(self, name, take, context):
        try:
            value, _ = read_json(name, MAX_LIST)
            if "certificate" in value:
                return
            if not self.is_here(value) or not is_signed_json(value, context, self.keys.owner):
                raise ValueError(f"{name} is ignored: the owner did not sign it")
            take(value)
        except (ValueError, TypeError, KeyError) as error:
            say(str(error) if isinstance(error, ValueError) else f"{name} is damaged and ignored")

    def is_here(self, value):
        return self.repository is None or value.get("repository") in (None, self.repository)

    def revoke(self, value):
        self.revoked.setdefault(value["writer"], set()).update(value.get("keep", []))

    def forget(self, value):
        self.forgotten[value.get("writer")].extend((int(first), int(last)) for first, last in value["sequences"])

    def writer(self, certificate):
        """The id and the key of the writer of a certificate that the owner signed."""
        text = json.dumps(certificate, sort_keys=True)
        if text not in self.certified:
            known = isinstance(certificate, dict) and certificate.get("certificate") == 1 and self.is_here(certificate)
            known = known and is_hex(certificate.get("key"), 64)
            if known and is_signed_json(certificate, "certificate v2", self.keys.owner):
                key = bytes.fromhex(certificate["key"])
                self.certified[text] = (hashlib.sha256(key).hexdigest()[:16], key)
            else:
                self.certified[text] = None
        if self.certified[text] is None:
            raise ValueError("the owner did not certify its writer")
        return self.certified[text]

    def check_summary(self, name, value, digest):
        """The writer of a summary at its place. Raises ValueError when nobody's word stands for it."""
        if value.get("id") != name or not self.is_here(value):
            raise ValueError("it is that of another backup")
        if not is_hex(value.get("manifest", {}).get("sha256"), 64) or not is_int(value.get("sequence"), 0, 1 << 64):
            raise ValueError("it is damaged")
        writer = None
        if value.get("schema") == 1 and self.version == 1:
            if not is_signed_json(value, "summary v1", self.keys.first):
                raise ValueError("no writer of the repository signed it")
        elif value.get("schema") == 1:
            # The owner listed each one by its hash when the repository was upgraded.
            writer = next((writer for writer, keep in self.revoked.items() if digest in keep), None)
            if writer is None:
                raise ValueError("the owner does not vouch for it")
        elif value.get("schema") == 2 and self.version == 2:
            writer, key = self.writer(value.get("certificate"))
            if not is_signed_json(value, "summary v2", key):
                raise ValueError("its writer did not sign it")
            if writer in self.revoked and digest not in self.revoked[writer]:
                raise ValueError("its writer is revoked")
            self.check_limits(value, value["certificate"])
        else:
            raise ValueError("it has a format that this program does not know")
        if any(first <= value["sequence"] <= last for first, last in self.forgotten[writer]):
            raise ValueError("the owner removed this backup")
        return writer

    def check_limits(self, value, certificate):
        for limit in ("host", "fqdn"):
            if limit in certificate and certificate[limit] != value.get(limit):
                raise ValueError(f"its writer may not make backups of this {limit}")
        if "paths" in certificate:
            folders = [names_of(folder.encode()) for folder in certificate["paths"]]
            for source in value["sources"]:
                names = names_of(source["path"].encode())
                if not any(names[: len(folder)] == folder for folder in folders):
                    raise ValueError(f"its writer may not make backups of {source['path']}")

    def check_index(self, kind, header, text_hash, signature):
        """Who signed an index object: the owner, or a writer by its id."""
        if header.get("index") != 2 or header.get("kind") != kind or not self.is_here(header):
            raise ValueError("it is of another kind, or of another repository")
        writer, key = ("owner", self.keys.owner)
        if "certificate" in header:
            writer, key = self.writer(header["certificate"])
            if kind == "condemned":
                raise ValueError("the owner did not sign it")
        if not is_signed(b"cloudron-backup index v2\n" + text_hash, signature, key):
            raise ValueError("its signature does not check")
        return writer


# --- the chunks ------------------------------------------------------------------------------------------

PLACE = struct.Struct("<IIII")


class Chunks:
    """Gives chunks by their id. Keeps the last pack and the last few chunks in memory."""

    def __init__(self, age, trust, writer):
        self.age, self.trust, self.where, self.packs, self.numbers = age, trust, {}, [], {}
        self.pack, self.plain, self.recent, self.bad = None, b"", collections.OrderedDict(), {}
        self.liars, self.proven, self.doubt = set(), set(), 0
        # What the owner lists was read and hashed, so it comes first, then what the writer of the backup lists. Packs
        # that are on their way out, in condemned/, are used for what no other pack has.
        ranks = {"owner": 0, writer: 1}
        found = [self.read_index(name) for name in listed("index", ".age")]
        for _, lines in sorted((f for f in found if f), key=lambda f: ranks.get(f[0], 2)):
            self.take(lines)
        for name in listed("condemned", ".age"):
            self.take((self.read_index(name) or (None, []))[1])

    def read_index(self, name):
        """Who signed an index object, and its lines. Nothing in it is read before its signature checks."""
        try:
            check_hash(name, MAX_INDEX)
            most, first, last, digest = 16 * size_of(name, MAX_INDEX) + MIB, None, b"", hashlib.sha256()
            signer = None
            if self.trust.version == 2:
                for line in self.age.lines(name, most):
                    first = line if first is None else first
                    digest.update(last)
                    last = line
                header, signature = (json.loads(line or b"0") for line in (first, last))
                signer = self.trust.check_index(name.split("/")[0], header, digest.digest(), signature["signature"])
            lines, odd = [], 0
            for value in map(json.loads, self.age.lines(name, most)):
                if "pack" in value:
                    packed = self.line(value)
                    odd += packed is None
                    lines.append(packed)
            if odd:
                say(f"{name}: {odd} packs are not used, because what it says of them cannot be")
            return signer, [line for line in lines if line]
        except Exception as error:  # whatever it is, it ends this object and no other
            say(f"{name} is not used: {error}")
            return None

    def line(self, value):
        """A pack and its chunks in few bytes, or nothing for what no writer writes."""
        pack, size, chunks = value.get("pack"), value.get("size"), value.get("chunks")
        if not is_hex(pack, 64) or not is_int(size, 0, MAX_PACK) or not isinstance(chunks, list):
            return None
        end, packed = 0, []
        for chunk, offset, length, raw in sorted(chunks, key=lambda c: c[1] if is_int(c[1], 0, size) else -1):
            sound = is_int(offset, end, size) and is_int(length, 1, MAX_FRAME) and is_int(raw, 0, MAX_CHUNK)
            if not sound or not is_hex(chunk, 64) or offset + length > size:
                return None
            end = offset + length
            packed.append(bytes.fromhex(chunk) + PLACE.pack(0, offset, length, raw))
        return pack, b"".join(packed)

    def take(self, lines):
        for pack, packed in lines:
            number = self.numbers.setdefault(pack, len(self.packs))
            if number == len(self.packs):
                self.packs.append(pack)
            for at in range(0, len(packed), 48):
                place = struct.pack("<I", number) + packed[at + 36 : at + 48]
                known = self.where.get(packed[at : at + 32], b"")
                if place not in (known[i : i + 16] for i in range(0, len(known), 16)):
                    self.where[packed[at : at + 32]] = known + place

    def open_pack(self, number):
        if self.pack == number:
            return
        if number in self.bad:
            raise ValueError(self.bad[number])
        pack = self.packs[number]
        name = f"packs/{pack[:2]}/{pack}.age"
        try:
            check_hash(name, MAX_PACK)
            self.plain, self.pack = self.age.decrypt(name, MAX_PACK), number
        except (OSError, ValueError) as error:
            self.bad[number] = str(error)
            raise ValueError(str(error))

    def get(self, chunk):
        """The content of a chunk from the first place that has it. Where there are several, its id can tell, but takes
        seconds for a megabyte: so it is checked in case of doubt only, at first once for each pack."""
        key = bytes.fromhex(chunk)
        if key in self.recent:
            self.recent.move_to_end(key)
            return self.recent[key]
        places = list(PLACE.iter_unpack(self.where.get(key, b"")))
        if not places:
            raise ValueError(f"chunk {chunk} is in no index")
        errors = []
        # One that is at hand costs nothing; a pack that was found not to have what an index says comes last.
        for number, offset, length, raw in sorted(places, key=lambda p: (p[0] in self.liars, p[0] in self.bad)):
            try:
                self.open_pack(number)
                content = unzstd(self.plain[offset : offset + length], raw)
                if len(places) > 1 and (self.doubt > 1 or self.doubt == 1 and number not in self.proven):
                    if struct.pack("<8I", *blake3(content, self.trust.keys.chunk, KEYED)) != key:
                        raise ValueError(f"chunk {chunk} is not in packs/*/{self.packs[number]}.age, as an index says")
                    self.proven.add(number)
            except ValueError as error:
                errors.append(str(error))
                if number not in self.bad:
                    self.liars.add(number)
                continue
            self.recent[key] = content
            while len(self.recent) > 4:
                self.recent.popitem(last=False)
            return content
        raise ValueError("; ".join(errors[:3]))


def raw_blocks(frame):
    """The content of a frame of raw blocks, as for pictures, which needs no program: RFC 8878, 3.1.1."""
    out, at = [], 9
    while frame[:5] == b"\x28\xb5\x2f\xfd\xa0" and at + 3 <= len(frame):
        header = int.from_bytes(frame[at : at + 3], "little")
        if header >> 1 & 3:
            return None
        out.append(frame[at + 3 : at + 3 + (header >> 3)])
        at += 3 + (header >> 3)
        if header & 1:
            return b"".join(out)
    return None


def unzstd(frame, raw):
    """What a frame unpacks to, which must have that length."""
    content = raw_blocks(frame)
    if content is None:
        with subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as zstd:
            content = feed(zstd, frame, raw + 1)
        if zstd.returncode != 0 and len(content) <= raw:
            raise ValueError("a chunk does not decompress")
    if len(content) != raw:
        raise ValueError("a chunk does not have the length that the index says")
    return content


def feed(process, source, most):
    """Gives a program its input, and reads so much of its output at most."""
    output, at = b"", 0
    os.set_blocking(process.stdin.fileno(), False)
    ends = [process.stdin]
    while len(output) < most:
        readable, writable, _ = select.select([process.stdout], ends, [])
        if writable:
            try:
                at += os.write(process.stdin.fileno(), source[at : at + 65536])
            except BrokenPipeError:
                at = len(source)
            if at == len(source):
                ends = []
                try:
                    process.stdin.close()
                except BrokenPipeError:
                    pass
        if readable:
            block = os.read(process.stdout.fileno(), min(MIB, most - len(output)))
            if not block:
                return output
            output += block
    process.kill()
    return output


# --- the files -------------------------------------------------------------------------------------------


def field(entry, name):
    if isinstance(entry.get(name + "64"), str):
        return base64.b64decode(entry[name + "64"])
    value = entry.get(name, "")
    return value.encode() if isinstance(value, str) else b""


def shown(entry):
    try:
        return os.fsdecode(field(entry, "path")) or "an entry without a path"
    except (ValueError, AttributeError):
        return "an entry whose path is damaged"


def names_of(path):
    """The names on an absolute path. One that could lead out of the target is refused."""
    names = path.split(b"/")
    odd = {b"", b".", b".."}.intersection(names[1:]) and path != b"/"
    if not path.startswith(b"/") or odd or b"\0" in path or len(path) > MAX_PATH:
        raise ValueError("the path leads out of the target")
    return [name for name in names if name]


FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Target:
    """The folder that is restored to, entered name by name and never through a symbolic link."""

    def __init__(self, path, make):
        os.makedirs(path, exist_ok=True)
        self.root, self.make = os.open(path, os.O_RDONLY | os.O_DIRECTORY), make
        self.last, self.fd = [], os.dup(self.root)

    def parent(self, names):
        """An open folder, valid until the next call. Folders on the way are made."""
        if names != self.last:
            os.close(self.fd)
            self.fd, self.last = os.dup(self.root), None
            for name in names:
                if self.make:
                    try:
                        os.mkdir(name, 0o700, dir_fd=self.fd)
                    except FileExistsError:
                        pass
                child = os.open(name, FOLDER, dir_fd=self.fd)
                os.close(self.fd)
                self.fd = child
            self.last = names
        return self.fd

    def missing(self, names):
        """How many of these names are not there yet."""
        try:
            self.parent(names)
            return 0
        except OSError:
            return 1 + self.missing(names[:-1]) if names else 0


def metadata(entry, fd, path):
    """Owner, attributes, mode, times. `path` goes through an open folder and is not followed."""
    target = path if fd is None else fd
    follow = {} if fd is not None else {"follow_symlinks": False}
    if os.geteuid() == 0:
        os.chown(target, entry.get("uid", 0), entry.get("gid", 0), **follow)
    for name, value in entry.get("xattrs", []):
        try:
            os.setxattr(target, name, base64.b64decode(value), **follow)
        except (OSError, ValueError) as error:
            fail(f"{shown(entry)}: attribute {name}: {error}")
    if entry["type"] != "symlink":
        os.chmod(target, entry.get("mode", 0) & 0o7777)
    seconds, nanos = entry.get("mtime", [0, 0])
    moment = seconds * 1_000_000_000 + nanos
    os.utime(target, ns=(moment, moment), **follow)


class WrongHash(ValueError):
    """The content of a file is not what the manifest says."""


def write_content(entry, extents, file, chunks):
    """Writes the content of a file, and checks it."""
    total = entry.get("size", 0)
    if not is_int(total, 0, MAX_FILE):
        raise ValueError("it cannot have that size")
    digest, size, allotted = hashlib.sha256(), 0, False
    for extent in extents:
        chunk, length, offset = (list(extent) + [0])[:3]
        if not is_int(length, 1, total - size) or not is_int(offset, 0, MAX_CHUNK):
            raise ValueError("it does not add up to its size")
        size += length
        if chunk is None:
            if not allotted:  # a size that the file system cannot hold shows before it is hashed
                file.truncate(total)
                allotted = True
            file.seek(length, os.SEEK_CUR)
            for at in range(0, length, MIB):
                digest.update(bytes(min(length - at, MIB)))
            continue
        part = chunks.get(chunk)[offset : offset + length]
        if len(part) != length:
            raise ValueError("it names a part of a chunk that is not there")
        digest.update(part)
        file.write(part)
    file.flush()
    file.truncate(size)
    if size != total or digest.hexdigest() != entry["sha256"]:
        raise WrongHash("its content does not have the hash that the manifest says")


def restore_file(entry, extents, folder, name, chunks):
    temporary = b".recover-" + os.urandom(8).hex().encode()
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        with open(fd, "wb", closefd=True) as file:
            write_content(entry, extents, file, chunks)
            metadata(entry, fd, None)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise


def restore(entry, extents, target, links, chunks, sources):
    kind, names = entry["type"], names_of(field(entry, "path"))
    if not any(names[: len(source)] == source for source in sources):
        raise ValueError("it is not below what was backed up")
    if kind == "dir":
        target.parent(names)
        return
    if not names:
        raise ValueError("the root is no folder")
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
        if not first or not any(first[: len(source)] == source for source in sources):
            raise ValueError("the file that it is a further name of is not in the backup")
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


def entries(lines):
    """The entries of a manifest, each with its extents. What is no entry is given as the reason, alone."""
    count, ended = 0, False
    next(lines, None)  # the header
    for line in lines:
        try:
            entry = json.loads(line)
            kind, more, extents = entry["type"], entry.get("more", 0), entry.get("extents", [])
            if not is_int(more, 0, MAX_EXTENTS // EXTENTS_IN_LINE):
                raise ValueError("more parts than a file can have")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            yield None, f"a line of the manifest is damaged: {error!r}"
            continue
        if kind == "end":
            ended = entry.get("entries", 0) == count
            break
        count += 1
        extents = continued(extents, more, lines)
        yield entry, extents
        for _ in extents:  # whatever was not used because of a failure
            pass
    if not ended:
        yield None, "the manifest is cut or damaged: files may be missing"


def continued(extents, more, lines):
    """The extents of a file: those of its own line, then those of the lines behind it. Wrong ones end the file."""
    yield from extents[:EXTENTS_IN_LINE]
    for _ in range(more):
        try:
            extents = json.loads(next(lines, b""))["extents"][:EXTENTS_IN_LINE]
        except (ValueError, TypeError, KeyError, RecursionError):
            extents = []
        yield from extents


def restore_all(read_lines, target, links, chunks, sources):
    """Restores what is in a manifest. Where some index lied, further looks find the right places."""
    again = None
    for chunks.doubt in range(3):
        chunks.recent.clear()
        meant, again = again, set()
        for number, (entry, extents) in enumerate(entries(read_lines())):
            if entry is None and meant is None:
                fail(extents)
            if entry is None or (meant is not None and number not in meant):
                continue
            try:
                restore(entry, extents, target, links, chunks, sources)
            except Exception as error:  # whatever it is, it ends this entry and no other
                lied = isinstance(error, WrongHash) or (entry["type"] == "hardlink" and isinstance(error, OSError))
                if lied and chunks.doubt < 2:
                    again.add(number)
                else:
                    fail(f"{shown(entry)}: {error if isinstance(error, (OSError, ValueError)) else repr(error)}")
        if not again:
            return


def finish_folders(lines, target, sources):
    """What folders have besides their content, from the inside out."""
    waiting = []

    def finish(until):
        while waiting and (until is None or waiting[-1][0] != until[: len(waiting[-1][0])]):
            names, entry = waiting.pop()
            try:
                metadata(entry, target.parent(names), None)
            except Exception as error:
                fail(f"{shown(entry)}: {error}")

    for line in lines:
        try:
            entry = json.loads(line)
            if entry.get("type") != "dir":
                continue
            names = names_of(field(entry, "path"))
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue  # named before
        if any(names[: len(source)] == source for source in sources):
            finish(names)
            waiting.append((names, entry))
    finish(None)


# --- the backup ------------------------------------------------------------------------------------------


def read_descriptions():
    """The description of the repository, and the second copy of it, as far as they can be read."""
    found, problems, main = [], [], None
    for name in ("cloudron-backup.json", "copies/cloudron-backup.json"):
        try:
            value, _ = read_json(name)
            if value.get("format") != "cloudron-backup" or value.get("version") not in (1, 2):
                stop(f"{name} has a format that this program does not know: take a newer recover.py")
            if "encryption" in value:
                stop(f"this repository is encrypted by {value['encryption']!r}, and opens with the program that made it only")
            found.append(value)
            main = value if name == "cloudron-backup.json" else main
        except ValueError as error:
            problems.append(str(error))
    if problems and found and found[0] is not main:
        say(f"{problems[0]}. The copy in copies/ is used; `cloudron backup repair` puts it back.")
    if not found:
        say("There is no description of the repository. The backups are found without it; fetch it from another copy "
            "of the repository before cloudron itself is used again.")
    return found


def description_of(descriptions, keys):
    """The description that the owner signed."""
    for value in descriptions:
        key = keys.owner if value["version"] == 2 else keys.first
        if is_signed_json(value, f"config v{value['version']}", key):
            return value
    if descriptions:
        say("cloudron-backup.json was changed: the owner did not sign it. It is not used.")
    return {}


def format_of(description, keys):
    """The version of the format. An old description put back does not make an upgraded repository an old one."""
    for name in listed("writers", ".json"):
        try:
            if is_signed_json(read_json(name)[0], "certificate v2", keys.owner):
                return 2
        except ValueError:
            pass
    return description.get("version", 1)


def find(wanted, trust, unsigned):
    """The summary that is meant: name, content, writer."""
    found, of_writer = {}, {}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    objects = listed("snapshots", ".json")
    if f"snapshots/{wanted}.json" in objects:
        objects = [f"snapshots/{wanted}.json"]
    for object_name in objects:
        name = object_name[len("snapshots/") : -5]
        try:
            value, digest = read_json(object_name)
            if value.get("aborted") is True:
                continue  # a backup that was declared dead before it was made
            try:
                writer = trust.check_summary(name, value, digest)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                if not (unsigned and name == wanted):
                    raise ValueError(f"{object_name} is ignored: {error}")
                say(f"{object_name}: {error}. It is restored because of --unsigned.")
                writer = None
            found[name] = (value, writer)
            origin = value.get("origin") or {"repository": None, "sequence": value["sequence"], "writer": writer}
            of = (origin.get("repository"), origin.get("writer"))
            moment = value["time"] if value["time"] <= now else ""
            rank, latest = of_writer.get(of, ((0, ""), ""))
            of_writer[of] = max(rank, (int(origin["sequence"]), name)), max(latest, moment)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            say(str(error))
    if wanted != "latest":
        if wanted not in found:
            stop(f"there is no backup {wanted} that counts; there are: {' '.join(sorted(found)) or 'none'}")
        return wanted, *found[wanted]
    # Of each writer's backups the one with the highest number. Numbers of different writers say nothing of each other:
    # there the writer's latest time decides that is not in the future.
    if not of_writer:
        stop("there is no backup here that counts")
    name = max((moment, name) for (_, name), moment in of_writer.values())[1]
    return name, *found[name]


def ended(number, _frame):
    for other in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--unsigned"]
    if len(arguments) != 2 or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    if MISSING:
        stop(f"install {' and '.join(MISSING)} first, as in `apt install age zstd`")
    # Whatever ends it, no half-written file is left behind.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, ended)
    os.umask(0o077)
    descriptions = read_descriptions()
    identity = unlock(descriptions)
    age, keys = Age(identity), Keys(identity)
    description = description_of(descriptions, keys)
    trust = Trust(keys, description.get("id"), format_of(description or (descriptions or [{}])[0], keys))
    backup, summary, writer = find(arguments[0], trust, "--unsigned" in sys.argv)

    try:
        expected = summary["manifest"]["sha256"]
        if not is_hex(expected, 64):
            raise ValueError("the summary names no manifest")
        manifest = f"snapshots/{backup if summary.get('schema') == 1 else expected}.age"
        check_hash(manifest, 1 << 50, expected)
    except (ValueError, KeyError, TypeError) as error:
        stop(f"{error}; try another backup")
    try:
        header = json.loads(next(age.lines(manifest)))
        same = header["id"] in (backup, re.sub(r"[+.]\d+$", "", backup)) and trust.is_here(header)
        same = same and (writer is None or header.get("writer") in (None, writer))
        listed_sources = [(source["name"], source["path"]) for source in header["sources"]]
        same = same and listed_sources == [(source["name"], source["path"]) for source in summary["sources"]]
        sources = [names_of(path.encode()) for _, path in listed_sources]
    except (StopIteration, ValueError, KeyError, TypeError) as error:
        stop(f"the key does not open the manifest of {backup}, or it is damaged: {error}")
    if header.get("manifest") not in (1, 2) or not same:
        stop(f"the manifest of {backup} is that of another backup or has another format")
    target, links = Target(arguments[1], True), Target(arguments[1], False)
    above = [(source[:-1], links.missing(source[:-1])) for source in sources if source]
    try:
        restore_all(lambda: age.lines(manifest), target, links, Chunks(age, trust, writer), sources)
        finish_folders(age.lines(manifest), target, sources)
    except ValueError as error:
        fail(f"the manifest is damaged: {error}")
    # Folders above what was backed up are in no backup. Those that were made get a usual mode.
    for names, count in above:
        for depth in range(len(names) - count + 1, len(names) + 1):
            try:
                os.chmod(links.parent(names[:depth]), 0o755)
            except OSError:
                pass  # nothing was restored below it
    os.sync()
    if failures:
        stop(f"{failures} things failed; everything else of {backup} is in {arguments[1]}")
    say(f"{backup} is restored below {arguments[1]}: {summary.get('files')} files, {summary.get('bytes')} bytes, "
        "all signatures and hashes checked", sys.stdout)


if __name__ == "__main__":
    main()
