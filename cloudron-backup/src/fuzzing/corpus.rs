//! Valid initial inputs, and some that are expensive to process.

use super::compressed;
use crate::chunk::ChunkId;
use crate::format::config::Config;
use crate::format::index::{PackEntry, PackedChunk};
use crate::format::manifest::{Entry, Extent, Header, HeaderSource, Kind};
use crate::keys::Identity;

fn line(object: &impl serde::Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(object).unwrap();
    text.push(b'\n');
    text
}

fn manifest() -> Vec<u8> {
    let source = HeaderSource { name: "data".into(), path: "/data".into(), kind: Kind::Dir };
    let header =
        Header { manifest: 2, id: "id".into(), repository: "ab".into(), writer: None, sources: vec![source] };
    let mut file = Entry::new(Kind::File, b"/data/\xff");
    file.size = 12;
    file.sha256 = Some(ChunkId([3; 32]));
    file.extents = vec![Extent::Hole(5), Extent::Data { chunk: ChunkId([7; 32]), length: 7, offset: 1 }];
    file.set_xattrs(&vec![("user.a".to_owned(), vec![0, 255])]);
    let mut link = Entry::new(Kind::Symlink, b"/data/link");
    link.set_target(b"../\xfe");
    let folder = Entry::new(Kind::Dir, b"/data");
    [line(&header), line(&folder), line(&file), line(&link), line(&Entry::end(3))].concat()
}

fn index() -> Vec<u8> {
    let chunk =
        |n: u8| PackedChunk { id: ChunkId([n; 32]), offset: u32::from(n) * 100, length: 100, raw: 1000 };
    let pack =
        |n: u8| PackEntry { pack: ChunkId([n; 32]), size: 1 << 24, chunks: (0..5).map(chunk).collect() };
    [line(&pack(1)), line(&pack(2))].concat()
}

/// Returns compressed data that unpacks to this many megabytes.
fn bomb(megabytes: usize) -> Vec<u8> {
    let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..megabytes {
        std::io::Write::write_all(&mut writer, &[b' '; 1 << 20]).unwrap();
    }
    writer.finish().unwrap()
}

/// Returns a tar with a file, one with holes, one with a long name and a folder.
fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind: tar::EntryType, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content).unwrap();
    };
    add("folder", tar::EntryType::Directory, b"");
    add("folder/file", tar::EntryType::Regular, b"content");
    add(&"long name".repeat(20), tar::EntryType::Regular, b"");
    let records = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.realsize", b"9999"), ("mtime", b"-1.5")];
    tar.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_ustar();
    let mut content = b"1\n100\n412\n".to_vec();
    content.resize(512 + 412, 0);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, "GNUSparseFile.0/holes", &content[..]).unwrap();
    tar.into_inner().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, content).unwrap();
    gzip.finish().unwrap()
}

/// Returns the initial inputs of a target.
pub(super) fn of(target: &str) -> Vec<Vec<u8>> {
    let deep = ["[".repeat(100_000), "{\"a\":".repeat(100_000)].map(String::into_bytes);
    let identity = Identity::generate();
    let keys = identity.writer_keys();
    let mut inputs = match target {
        "config" => {
            let config = Config::new(&identity, &[("recover.py", b"x")], None).unwrap();
            vec![config.object().to_vec()]
        }
        "summary" => vec![crate::format::summary::example().sign(&keys.signer().unwrap())],
        "manifest" => {
            let header = manifest().split_inclusive(|b| *b == b'\n').next().unwrap().to_vec();
            let many = "[null,1],".repeat(400_000);
            let wide = format!("{{\"type\":\"file\",\"path\":\"/data/x\",\"extents\":[{many}[null,1]]}}\n");
            vec![manifest(), [header, wide.into_bytes()].concat()]
        }
        "manifest_stream" => vec![compressed(&manifest()), bomb(300)],
        "index" => vec![index()],
        "index_stream" => vec![compressed(&index()), bomb(300), compressed(&index().repeat(50_000))],
        "frame" => {
            let frame = |content: &[u8]| {
                let frame = crate::chunk::frame::Framer::new().unwrap().frame(content).unwrap();
                [&(content.len() as u32).to_le_bytes()[..], &frame].concat()
            };
            let mut long = bomb(64);
            long.splice(0..0, (16u32 << 20).to_le_bytes());
            vec![frame(b"content"), frame(&[7; 100_000]), frame(&b"abc".repeat(1000)), long]
        }
        "key_object" | "age" => {
            vec![super::sealed(b"plain"), b"age-encryption.org/v1\n-> scrypt x 18\n".to_vec()]
        }
        "listing" => vec![crate::cache::files::listing("ab", &[b"/a", b"/a/b", b"/x"])],
        "exclude" => vec![
            b"/srv/**/cache\n/srv/app/one/cache".to_vec(),
            b"*.tmp\n/srv/a/b.tmp".to_vec(),
            [b"/*a*a*a*a*a*a*a*a*a*b\n/".to_vec(), vec![b'a'; 250]].concat(),
            [b"/**a**a**a**a**a**a**a**b\n/".to_vec(), b"a/".repeat(2000)].concat(),
        ],
        "tar" => vec![tar()],
        "old_backup" => vec![
            b"appbackup_a1_2016-12-01T03:04:05.678Z-v1.2.tar.gz".to_vec(),
            [&b"Salted__saltsalt"[..], &[7; 64]].concat(),
            gzip(&tar()),
            gzip(&vec![0; 8 << 20]),
            tar(),
        ],
        _ => vec![b"snapshots/backup_2026-01-02T03-04-05Z_v1.0.0.json".to_vec(), b"file:///x".to_vec()],
    };
    if !matches!(target, "frame" | "age" | "exclude" | "store_key" | "tar" | "old_backup") {
        inputs.extend(deep);
    }
    inputs
}
