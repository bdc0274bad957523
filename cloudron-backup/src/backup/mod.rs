//! Making a backup.

mod content;
pub(crate) mod entries;
mod in_place;
pub(crate) mod plan;
mod request;
pub(crate) mod source;
mod unfinished;
mod unkept;
mod walk;

pub(crate) use request::ReadHook;
pub use request::{BackupRequest, Source};

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use cloudron_core::{Error, Progress, Result, Unit};

use crate::cache::files;
use crate::cache::history::Seen;
use crate::chunk::cut::Cutter;
use crate::chunk::{ChunkId, ChunkNamer};
use crate::encrypt::Encryptor;
use crate::files::exclude::Patterns;
use crate::files::path_bytes;
use crate::format::config::{Config, whole_second};
use crate::format::index::{Index, PackEntry, Packs, Whose};
use crate::format::lock::Lock;
use crate::format::manifest::order::in_order;
use crate::format::manifest::{Header, HeaderSource, Kind, ManifestWriter, describe};
use crate::format::summary::{self, SourceRef, Summary};
use crate::format::trust::Trust;
use crate::keys::{Signer, WriterId, WriterKeys};
use crate::packer::{self, journal};
use crate::runtime::Stop;
use crate::snapshot::{filter, slot, writer_at_work};
use crate::store::blocking::Blocking;
use crate::{codes, layout};
use entries::Writer;

/// What a run needs of everything around it.
struct Context<'a> {
    store: &'a Blocking,
    config: &'a Config,
    keys: &'a WriterKeys,
    request: &'a BackupRequest,
    progress: &'a Progress,
    stop: &'a Stop,
    trust: Trust,
    signer: Signer,
}

impl<'a> Context<'a> {
    /// Checks that the keys are those of a writer of the repository.
    fn new(
        store: &'a Blocking,
        config: &'a Config,
        keys: &'a WriterKeys,
        request: &'a BackupRequest,
        progress: &'a Progress,
        stop: &'a Stop,
    ) -> Result<Self> {
        let (trust, signer) = writer_at_work(store, config, keys)?;
        Ok(Self { store, config, keys, request, progress, stop, trust, signer })
    }

    fn writer(&self) -> WriterId {
        self.keys.writer()
    }
}

impl Context<'_> {
    fn target<'t>(
        &'t self,
        data: &'t dyn Encryptor,
        index: &'t dyn Encryptor,
        journal: Option<&'t journal::Journal>,
    ) -> packer::Target<'t> {
        let (store, repository, signer) = (self.store, self.config.id.as_str(), &self.signer);
        packer::Target { store, data, index, repository, signer, journal }
    }
}

/// Makes a backup, from the first look at the store to the summary.
pub(crate) fn run(
    store: &Blocking,
    config: &Config,
    keys: &WriterKeys,
    request: &BackupRequest,
    progress: &Progress,
    stop: &Stop,
) -> Result<Summary> {
    run_with(&Context::new(store, config, keys, request, progress, stop)?, None)
}

/// Makes a backup of what a feed gives, which takes the place of the folders of the request.
pub(crate) fn run_fed(
    store: &Blocking,
    config: &Config,
    keys: &WriterKeys,
    request: &BackupRequest,
    feed: Box<dyn source::Feed>,
    progress: &Progress,
    stop: &Stop,
) -> Result<Summary> {
    if !request.sources.is_empty() {
        let text = "the backup of a stream has no folders beside it";
        return Err(Error::new(&codes::SOURCE_INVALID, text));
    }
    run_with(&Context::new(store, config, keys, request, progress, stop)?, Some(feed))
}

fn run_with(context: &Context<'_>, feed: Option<Box<dyn source::Feed>>) -> Result<Summary> {
    let begun = Begun { watch: Instant::now(), clock: SystemTime::now() };
    let Context { store, config, request, progress, .. } = *context;
    filter::check_tags(&request.tags)?;
    if slot::fate(store, &context.trust, &request.id, context.writer())?.is_some() {
        return Err(exists(request));
    }
    let (sources, missing) = match &feed {
        Some(feed) => (feed.sources(), 0),
        None => sources(request, progress)?,
    };
    if feed.is_none() {
        let paths: Vec<&Path> = sources.iter().map(|s| s.path.as_path()).collect();
        Patterns::new(&request.excludes)?.check_below(&paths)?;
    }
    let cache_dir = cache_dir(request, config, progress);
    if let Some(dir) = &cache_dir {
        unfinished::settle(store, dir, &context.trust, &context.signer)?;
    }
    // Before anything is looked at that this backup will rely on.
    let mut lock = Lock::take(store, request.id.as_str(), &request.host, &context.signer)?;
    // A bucket can change after its repository was made: Ceph ignores conditions once it keeps versions.
    store.check_conditional(lock.key())?;
    let index = known_chunks(context, cache_dir.as_deref())?;
    let done = write_all(context, (&sources, missing), feed, &index, cache_dir.as_deref())?;
    let summary = publish(context, sources, done, cache_dir.as_deref(), begun, &mut lock)?;
    lock.release(&summary.id);
    Ok(summary)
}

/// So much room, in bytes, must be left for the cache, or it is not used: what a run writes there is small.
const ROOM: usize = 256 << 10;

/// The folder of the cache, if there is one that can be written to: without it a backup is slower, and no worse.
fn cache_dir(request: &BackupRequest, config: &Config, progress: &Progress) -> Option<PathBuf> {
    let dir = request.cache_dir.as_ref()?.join(&config.id);
    let usable = crate::files::private_folder(&dir).and_then(|()| {
        let probe = crate::files::temporary::named(&dir).and_then(|mut file| file.write_all(&[0; ROOM]));
        probe.map_err(|e| Error::io(&dir, e))
    });
    match usable {
        Ok(()) => Some(dir),
        Err(e) => {
            progress
                .warn(format!("the backup is slower than it could be, for the cache cannot be used: {e}"));
            None
        }
    }
}

/// With less room than this, in bytes, the manifest is written elsewhere if there is more.
const ROOM_FOR_MANIFEST: u64 = 256 << 20;

/// The folder in which the manifest is written before it is stored.
fn scratch(cache: Option<&Path>) -> PathBuf {
    let room = |dir: &Path| rustix::fs::statvfs(dir).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize));
    let temporary = std::env::temp_dir();
    match cache.map(|dir| (dir, room(dir))) {
        Some((dir, left)) if left >= ROOM_FOR_MANIFEST || left >= room(&temporary) => dir.to_owned(),
        _ => temporary,
    }
}

/// What makes the next backup fast is written on the side: a failure ends that, and not the backup.
fn optional<T>(result: Result<T>, progress: &Progress) -> Option<T> {
    result.inspect_err(|e| progress.warn(format!("the next backup will be slower: {e}"))).ok()
}

fn exists(request: &BackupRequest) -> Error {
    Error::new(&codes::BACKUP_EXISTS, format!("there is a backup {} already", request.id))
}

/// The sources, each with its type, those inside of another one left out, in the order of the walk; and how many of
/// those that were asked for are missing.
fn sources(request: &BackupRequest, progress: &Progress) -> Result<(Vec<HeaderSource>, u64)> {
    let mut found: Vec<HeaderSource> = Vec::new();
    let (mut first_failure, mut missing) = (None, 0);
    for source in &request.sources {
        let invalid = |why: &str| {
            let text = format!("{:?} {why}", source.path);
            Error::new(&codes::SOURCE_INVALID, text)
        };
        if !source.path.is_absolute()
            || source.path.components().any(|c| c == std::path::Component::ParentDir)
        {
            return Err(invalid("is not an absolute path"));
        }
        // Writes it in one way: no final slash, no doubled ones.
        let path: PathBuf = source.path.components().collect();
        if path.to_str().is_none() {
            return Err(invalid("is not UTF-8").with_hint("back up the folder that it is in"));
        }
        let kind = match kind_of(&path) {
            Ok(Some(kind)) => kind,
            Ok(None) => {
                progress.note(format!("{} is a socket and is left out", path.display()));
                continue;
            }
            Err(e) => {
                progress.warn(format!("{} is left out: {e}", path.display()));
                missing += 1;
                first_failure.get_or_insert((path, e));
                continue;
            }
        };
        found.push(HeaderSource { name: source.name.clone(), path, kind });
    }
    if let (true, Some((path, e))) = (found.is_empty(), first_failure) {
        return Err(Error::new(&codes::SOURCE_MISSING, format!("{}: {e}", path.display())));
    }
    if found.is_empty() {
        return Err(Error::new(&codes::SOURCE_INVALID, "there is nothing to back up"));
    }
    found.sort_by(|a, b| in_order(path_bytes(&a.path), path_bytes(&b.path)));
    Ok((found, missing))
}

/// What a source is. A link to a folder or to a file is followed; one to anything else, or to nothing, is itself what is
/// backed up. Nothing for a socket, which only a running program can make.
fn kind_of(path: &Path) -> std::io::Result<Option<Kind>> {
    let itself = std::fs::symlink_metadata(path)?.file_type();
    let kind = match std::fs::metadata(path).map(|m| m.file_type()) {
        Ok(followed) if followed.is_dir() => Kind::Dir,
        Ok(followed) if followed.is_file() => Kind::File,
        _ if itself.is_symlink() => Kind::Symlink,
        _ if itself.is_fifo() => Kind::Fifo,
        _ if itself.is_block_device() => Kind::Block,
        _ if itself.is_char_device() => Kind::Char,
        _ => return Ok(None),
    };
    Ok(Some(kind))
}

/// The chunks that are in the store. A pack that is gone or has another size does not count, so that what
/// was in it is stored again.
fn known_chunks(context: &Context<'_>, cache: Option<&Path>) -> Result<Index> {
    // Before the packs are listed: what these journals name was stored before that, or never will be.
    let chunk_key = context.keys.chunk_key()?;
    let left = cache.map(|dir| journal::Left::read(dir, &chunk_key)).unwrap_or_default();
    let key = context.config.index_decryptor(&context.keys.index_identity)?;
    let key = (&*key, &context.trust);
    let packs = crate::format::condemned::packs_to_rely_on(context.store, key, cache, context.stop)?;
    let whose = Whose::Mine(context.writer());
    let mut index = Index::load(context.store, key, cache, &packs, whose, context.stop)?;
    for (object, error) in &index.unusable {
        let text = format!("{object} cannot be used, what it lists is stored again where needed: {error}");
        context.progress.warn(text);
    }
    adopt(context, left, &packs, &mut index)?;
    Ok(index)
}

/// Puts packs into an index that a run stored which was cut off before it could do so.
fn adopt(context: &Context<'_>, left: journal::Left, packs: &Packs, index: &mut Index) -> Result<()> {
    let mut known: HashSet<ChunkId> = index.packs.iter().map(|(pack, _)| *pack).collect();
    let is_new = |e: &&PackEntry| packs.has(e) && known.insert(e.pack);
    let found: Vec<PackEntry> = left.entries.iter().filter(is_new).cloned().collect();
    if !found.is_empty() {
        let (data, for_index) = (context.config.data_encryptor()?, context.config.index_encryptor()?);
        packer::store_index(&context.target(&*data, &*for_index, None), &found)?;
        found.iter().for_each(|entry| index.add(entry));
        context.progress.note(format!("{} packs of a run that was cut off are used", found.len()));
    }
    left.remove();
    Ok(())
}

/// What the writing of files, packs and index came to.
struct Done {
    manifest: tempfile::NamedTempFile,
    counts: entries::Counts,
    added: u64,
    cache: Option<files::CacheWriter>,
}

fn write_all(
    context: &Context<'_>,
    (sources, missing): (&[HeaderSource], u64),
    feed: Option<Box<dyn source::Feed>>,
    index: &Index,
    cache_dir: Option<&Path>,
) -> Result<Done> {
    let (data, for_index) = (context.config.data_encryptor()?, context.config.index_encryptor()?);
    let chunk_key = context.keys.chunk_key()?;
    let journal = cache_dir.map(|dir| journal::Journal::new(dir, &chunk_key));
    let journal = journal.and_then(|journal| optional(journal, context.progress));
    let header = Header {
        manifest: crate::format::manifest::VERSION,
        id: context.request.id.to_string(),
        repository: context.config.id.clone(),
        writer: Some(context.writer()),
        sources: sources.to_vec(),
    };
    let scratch = scratch(cache_dir);
    crate::files::temporary::sweep(&scratch);
    crate::files::temporary::sweep(&scratch.join("index"));
    let manifest = ManifestWriter::new(&scratch, &*data, &header)?;
    // What a feed gives has no files here whose listing could be kept.
    let listing = cache_dir.filter(|_| feed.is_none());
    let old = listing.and_then(|dir| files::CacheReader::open(dir, &context.config.id, sources));
    let new = listing.map(|dir| files::CacheWriter::new(dir, &context.config.id, sources));
    let new = new.and_then(|new| optional(new, context.progress));
    let namer = ChunkNamer::new(chunk_key);
    let expected = listing.and_then(|dir| files::expected(dir, sources));
    let task = context.progress.task("Backing up", Unit::Bytes, expected);

    let target = context.target(&*data, &*for_index, journal.as_ref());
    let (written, added) = packer::with(&target, |uploads| {
        let mut writer = Writer {
            chunking: context.config.chunker,
            namer,
            index,
            uploads,
            manifest,
            old,
            new,
            owners: crate::files::owners::Owners::of_this_machine(),
            run: entries::Run::new(uploads),
            before: None,
            pieces: None,
            links: std::collections::HashMap::new(),
            sent: std::collections::HashSet::new(),
            counts: entries::Counts::default(),
            unkept: unkept::Unkept::default(),
            stop: context.stop,
            progress: context.progress,
            task: &task,
            cutter: Cutter::new(context.config.chunker),
            on_read: context.request.on_read.as_ref(),
        };
        if let Some(feed) = feed {
            feed.give(&mut writer)?;
            return writer.finish();
        }
        writer.counts.failed(missing);
        let excludes = Patterns::new(&context.request.excludes)?;
        let ours = own_folders(context);
        walk::walk(sources, &excludes, &ours, &mut writer)?;
        say_excluded(&excludes, &writer.counts, context.progress);
        writer.finish()
    })?;
    task.set_total(written.counts.bytes);
    task.finish();
    if let Some(dir) = listing {
        files::expect(dir, sources, written.counts.bytes);
    }
    if let Some(journal) = journal {
        journal.remove();
    }
    let manifest = written.manifest.finish()?;
    Ok(Done { manifest, counts: written.counts, added, cache: written.cache })
}

/// Says what each pattern left out, so that one that fits nothing is noticed.
fn say_excluded(patterns: &Patterns, counts: &entries::Counts, progress: &Progress) {
    for (text, count) in patterns.texts().zip(&counts.excluded) {
        match count {
            0 => progress.note(format!("the pattern {text:?} left nothing out")),
            1 => progress.note(format!("the pattern {text:?} left 1 file or folder out")),
            n => progress.note(format!("the pattern {text:?} left {n} files and folders out")),
        }
    }
}

/// Folders of this program's own that must not be in the backup: the repository, the cache.
fn own_folders(context: &Context<'_>) -> Vec<PathBuf> {
    let store = context.store.url().strip_prefix("file://").map(PathBuf::from);
    let folders = [store, context.request.cache_dir.clone()].into_iter().flatten();
    folders.chain(context.request.also_skip.iter().cloned()).filter_map(|f| f.canonicalize().ok()).collect()
}

/// Stores the manifest and, last of all, the summary that makes the backup listed.
fn publish(
    context: &Context<'_>,
    sources: Vec<HeaderSource>,
    done: Done,
    cache_dir: Option<&Path>,
    begun: Begun,
    lock: &mut Lock,
) -> Result<Summary> {
    let (request, store) = (context.request, context.store);
    context.stop.check()?;
    let manifest = describe(done.manifest.path())?;
    let pending = cache_dir.and_then(|dir| unfinished::Pending::note(dir, &request.id, &manifest.sha256));
    // What has that name already is the same: it is named by its hash.
    store.put_new_file(&layout::manifest(&manifest.sha256), done.manifest.path())?;
    let mut seen = Seen::load(cache_dir, &context.config.id, &store.url());
    let time = jiff::Timestamp::try_from(request.id.time()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let named = |s: HeaderSource| SourceRef { name: s.name, path: s.path.display().to_string() };
    let counts = done.counts;
    let mut summary = Summary {
        schema: summary::SCHEMA,
        id: request.id.clone(),
        repository: context.config.id.clone(),
        sequence: crate::snapshot::sequence::next(
            store,
            &context.trust,
            context.writer(),
            &mut seen,
            |missing| {
                context.progress.warn(missing);
            },
        )?,
        writer: Some(context.writer()),
        origin: request.origin.clone(),
        time: whole_second(time),
        version: request.id.version().to_string(),
        host: request.host.clone(),
        fqdn: request.fqdn.clone(),
        tags: filter::check_tags(&request.tags)?,
        sources: sources.into_iter().map(named).collect(),
        entries: counts.kinds.iter().map(|(k, n)| (k.name().to_owned(), *n)).collect::<BTreeMap<_, _>>(),
        files: counts.kinds.get(&Kind::File).copied().unwrap_or(0),
        bytes: counts.bytes,
        added_bytes: done.added + manifest.size,
        errors: counts.errors,
        warnings: counts.warnings,
        downgraded: counts.downgraded,
        excluded: counts.excluded.iter().sum(),
        duration_ms: u64::try_from(begun.watch.elapsed().as_millis()).unwrap_or(u64::MAX),
        manifest,
    };
    context.stop.check()?;
    if let Some(why) = context.keys.certificate.forbids(&summary) {
        let text = format!("{why}: nobody would count this backup");
        return Err(Error::new(&codes::SOURCE_INVALID, text));
    }
    begun.check_age()?;
    // If this fails, the summary may be stored all the same.
    lock.stay();
    match slot::publish(store, &context.trust, &mut summary, &context.signer) {
        Err(e) if e.is(&codes::BACKUP_EXISTS) || e.is(&codes::BACKUP_ABORTED) => {
            lock.may_go();
            return Err(e);
        }
        published => published?,
    }
    pending.into_iter().for_each(unfinished::Pending::take_back);
    seen.add(&summary);
    seen.save();
    if let Some(cache) = done.cache {
        // The backup is made; losing the cache costs time only.
        if let Err(e) = cache.publish() {
            context.progress.warn(format!("the next backup will be slower: {e}"));
        }
    }
    Ok(summary)
}

/// When a backup began. The watch stands still while the machine sleeps.
struct Begun {
    watch: Instant,
    clock: SystemTime,
}

impl Begun {
    /// A backup that took so long gives up. A prune keeps the tombstones of dead backups for much longer.
    const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

    fn check_age(&self) -> Result<()> {
        let age = self.clock.elapsed().unwrap_or_default().max(self.watch.elapsed());
        if age < Self::LONGEST {
            return Ok(());
        }
        let text = format!("the backup began {} days ago", age.as_secs() / 86400);
        Err(Error::new(&codes::BACKUP_ABORTED, text))
    }
}
