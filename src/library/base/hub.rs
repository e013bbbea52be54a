//! One file from a hub that speaks Hugging Face's URLs.

use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::environment::with_environment;
use super::progress::{FetchPhase, Reporter};
use super::sink::Sink;
use super::source::Source;
use crate::library::BaseSpec;
use crate::{Cancel, Error, Result};

/// Resolving, connecting and the first answer together may take this long.
const FIRST_ANSWER: Duration = Duration::from_secs(12);
/// No byte for this long means that the source is dead.
const STALL: Duration = Duration::from_secs(20);

/// No file of a base model is larger.
const LARGEST: u64 = 1 << 40;
/// Set to 1 to let a token go to a hub without encryption.
const PLAIN_TOKEN: &str = "LORA_TUI_PLAIN_TOKEN";

/// A hub and how to talk to it.
pub(super) struct Hub {
    pub endpoint: String,
    pub token: Option<String>,
    pub offline: bool,
    /// Whether the token may go where everybody on the way can read it.
    pub plain_token: bool,
}

enum Part {
    /// The answer has begun; the length, if the server states it.
    Start(Option<u64>),
    Data(Vec<u8>),
    End,
    Failed(String),
}

impl Hub {
    /// Honours the variables of huggingface_hub: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and their kin.
    pub fn from_environment() -> Self {
        with_environment(|environment| Self {
            endpoint: environment.endpoint(),
            token: environment.token(),
            offline: environment.offline(),
            plain_token: std::env::var(PLAIN_TOKEN).is_ok_and(|value| value == "1"),
        })
    }

    /// Why the token is not sent, if it must not be: others could read it on the way. This machine's own ports are no
    /// way.
    pub fn unsafe_token(&self) -> Option<String> {
        let plain = self.endpoint.to_ascii_lowercase().strip_prefix("http://").map(str::to_string)?;
        let host = plain.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let name = match host.strip_prefix('[') {
            Some(six) => six.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let here = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        (self.token.is_some() && !here && !self.plain_token).then(|| {
            format!(
                "would get your token without encryption: give HF_ENDPOINT with https, unset HF_TOKEN, or set \
                 {PLAIN_TOKEN}=1"
            )
        })
    }
}

/// One file of a repository on a hub.
pub(super) struct HubFile {
    pub hub: Hub,
    /// `owner/name`.
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Path in the repository.
    pub file: String,
}

/// The file on a hub that a description names.
pub(super) fn source(spec: &BaseSpec) -> Option<Box<dyn Source>> {
    let (repository, file) = (spec.hub.clone()?, spec.file.clone()?);
    let revision = spec.revision.clone().unwrap_or_else(|| "main".into());
    Some(Box::new(HubFile { hub: Hub::from_environment(), repository, revision, file }))
}

impl Source for HubFile {
    fn name(&self) -> String {
        format!("hub {}", self.repository)
    }

    /// The network is read on a thread of its own, so that a cancel takes effect at once; when the
    /// receiver is gone the thread ends by its own timeouts.
    fn download(&self, sink: &mut Sink, report: &mut Reporter<'_>, cancel: &Cancel) -> Result<()> {
        let Self { hub, repository, revision, file } = self;
        if hub.offline {
            return Err(Error::msg("HF_HUB_OFFLINE is set"));
        }
        if let Some(problem) = hub.unsafe_token() {
            return Err(Error::msg(problem));
        }
        let endpoint = hub.endpoint.trim_end_matches('/');
        let url = format!("{endpoint}/{repository}/resolve/{revision}/{}", file.replace(' ', "%20"));
        let token = hub.token.clone();
        let (send, receive) = sync_channel(8);
        std::thread::Builder::new()
            .name("download".into())
            .spawn(move || {
                let last = match stream(&url, token.as_deref(), &send) {
                    Ok(()) => Part::End,
                    Err(reason) => Part::Failed(reason),
                };
                // The other side may have given up already.
                let _ = send.send(last);
            })
            .map_err(|e| Error::msg(format!("cannot start a thread: {e}")))?;
        collect(&receive, sink, report, cancel)
    }
}

fn collect(
    receive: &Receiver<Part>,
    sink: &mut Sink,
    report: &mut Reporter<'_>,
    cancel: &Cancel,
) -> Result<()> {
    let mut done = 0u64;
    let mut total = None;
    let mut started = false;
    let mut last = Instant::now();
    loop {
        cancel.check()?;
        match receive.recv_timeout(Duration::from_millis(100)) {
            Ok(Part::Start(length)) => {
                if length.is_some_and(|length| length > LARGEST) {
                    return Err(Error::msg("announces a file larger than any base model"));
                }
                total = length;
                started = true;
            }
            Ok(Part::Data(bytes)) => {
                done += bytes.len() as u64;
                if total.is_some_and(|total| done > total) {
                    return Err(Error::msg("sent more than it announced"));
                }
                if done > LARGEST {
                    return Err(Error::msg("sends more than any base model has"));
                }
                sink.write(&bytes)?;
            }
            Ok(Part::End) => {
                return match total.is_some_and(|total| done < total) {
                    true => Err(Error::msg("the connection ended early")),
                    false => Ok(()),
                };
            }
            Ok(Part::Failed(reason)) => return Err(Error::msg(reason)),
            Err(RecvTimeoutError::Disconnected) => return Err(Error::msg("the download broke off")),
            Err(RecvTimeoutError::Timeout) => {
                let limit = if started { STALL } else { FIRST_ANSWER };
                if last.elapsed() > limit {
                    return Err(Error::msg(format!("no answer for {} seconds", limit.as_secs())));
                }
                continue;
            }
        }
        last = Instant::now();
        report.at(FetchPhase::Downloading, done, total);
    }
}

/// Sends the answer's parts; stops when the receiver is gone.
fn stream(url: &str, token: Option<&str>, send: &SyncSender<Part>) -> std::result::Result<(), String> {
    let agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(Duration::from_secs(4)))
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(Duration::from_secs(8)))
        .timeout_per_read(Some(STALL))
        .user_agent(concat!("lora-tui/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
        .build()
        .new_agent();
    let mut request = agent.get(url);
    if let Some(token) = token {
        // Not passed on when the hub redirects to another host.
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = request.call().map_err(|e| describe(&e))?;
    let length = response.body().content_length();
    if send.send(Part::Start(length)).is_err() {
        return Ok(());
    }
    let mut body = response.into_body().into_reader();
    loop {
        let mut bytes = vec![0u8; 1 << 17];
        match body.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                bytes.truncate(n);
                if send.send(Part::Data(bytes)).is_err() {
                    return Ok(());
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("the connection broke: {e}")),
        }
    }
}

/// Certificates of `SSL_CERT_FILE` where one is set (proxies of companies), else the usual ones.
fn root_certificates() -> RootCerts {
    let file = std::env::var_os("SSL_CERT_FILE").filter(|value| !value.is_empty());
    let pem = file.and_then(|path| crate::outside::read_limited(path.as_ref(), 16 << 20).ok());
    let certificates: Vec<_> = pem
        .iter()
        .flat_map(|pem| parse_pem(pem))
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(certificates)) }
}

fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(code @ (401 | 403)) => {
            format!("refused (HTTP {code}): set HF_TOKEN if the repository needs one")
        }
        ureq::Error::StatusCode(404) => "has no such file (HTTP 404)".into(),
        ureq::Error::StatusCode(code) => format!("answered HTTP {code}"),
        ureq::Error::HostNotFound => "cannot be reached (unknown host: is there a network?)".into(),
        ureq::Error::Timeout(_) => "gave no answer in time".into(),
        ureq::Error::ConnectionFailed => "cannot be reached".into(),
        ureq::Error::Io(e) => format!("cannot be reached: {e}"),
        other => other.to_string().lines().next().unwrap_or("failed").to_string(),
    }
}
