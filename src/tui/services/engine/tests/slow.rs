//! A model that is as slow, as broken or as absent as a test needs.

use super::*;

/// A library whose base model no source has.
pub const OFFLINE: &str = "offline";

pub fn no_source() -> NoSource {
    let tried = vec![("hub a/b".to_string(), "cannot be reached".to_string())];
    NoSource { what: "a model".into(), tried, place: "cache/model".into() }
}

/// A prompt that is routed until it is cancelled.
pub const ENDLESS: &str = "endless";

/// A model that answers at once, or never.
#[derive(Clone, Default)]
pub struct Slow {
    /// Not on this machine until it was fetched.
    pub missing: bool,
    pub opened: Arc<AtomicUsize>,
    pub reloaded: Arc<AtomicUsize>,
    pub routed: Arc<AtomicUsize>,
    /// Studies of an answer that were begun.
    pub studied: Arc<AtomicUsize>,
}

pub fn trace(prompt: &str) -> Trace {
    let mut trace = Trace::new(Arc::new(vec!["q".into()]), Arc::new(vec!["a".into()]), 1);
    for (i, word) in prompt.split(' ').enumerate() {
        let token = TraceToken { id: i as u32, text: word.into(), part: Part::Prompt };
        trace.push(token, &[(0, 1.0)]);
    }
    trace
}

fn wait_for_cancel(cancel: &Cancel) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        cancel.check()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it was not cancelled");
}

impl Backend for Slow {
    type Session = Slow;

    fn locate(&mut self, _catalog: &Catalog) -> Result<BaseLocation> {
        if self.missing {
            return Ok(BaseLocation::Missing { spec: BaseSpec::default(), label: "a model".into() });
        }
        Ok(BaseLocation::Found { path: "model".into(), label: "a model".into() })
    }

    fn fetch(
        &mut self,
        library: &Catalog,
        progress: &mut dyn FnMut(FetchProgress),
        cancel: &Cancel,
    ) -> Result<PathBuf> {
        let (source, phase) = ("somewhere".to_string(), FetchPhase::Downloading);
        progress(FetchProgress { source, phase, done: 1, total: Some(2) });
        if library.root == Path::new(OFFLINE) {
            return Err(Error::NoSource(Box::new(no_source())));
        }
        if library.root == Path::new(ENDLESS) {
            wait_for_cancel(cancel)?;
        }
        self.missing = false;
        Ok("model".into())
    }

    fn open(
        &mut self,
        library: &Library,
        _base: &Path,
        stage: &mut dyn FnMut(&str),
        _cancel: &Cancel,
    ) -> Result<Slow> {
        stage("experts");
        if library.root == Path::new("broken") {
            return Err(Error::file("model", "ends too early"));
        }
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(self.clone())
    }
}

impl RoutedModel for Slow {
    fn label(&self) -> String {
        "slow".into()
    }

    fn skipped(&self) -> Vec<Skipped> {
        vec![Skipped::new("x", "too wide")]
    }

    fn reload(&mut self, _library: &Library, _cancel: &Cancel) -> Result<()> {
        self.reloaded.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn set_router(
        &mut self,
        router: RouterConfig,
        _calibrating: &mut dyn FnMut(crate::routing::Preparing),
        _cancel: &Cancel,
    ) -> Result<()> {
        match router.router.names_expert() {
            true => Err(Error::usage(format!("there is no expert {}", router.argument))),
            false => Ok(()),
        }
    }

    fn route(
        &mut self,
        prompt: &str,
        _raw: bool,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Trace> {
        self.routed.fetch_add(1, Ordering::SeqCst);
        progress(0, prompt.split(' ').count());
        match prompt {
            ENDLESS => wait_for_cancel(cancel).map(|()| Trace::default()),
            "bug" => panic!("index out of bounds"),
            _ => Ok(trace(prompt)),
        }
    }

    fn generate(
        &mut self,
        prompt: &str,
        _raw: bool,
        max_tokens: usize,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
        on_token: &mut dyn FnMut(&Trace, &str) -> ControlFlow<()>,
    ) -> Result<String> {
        progress(0, prompt.split(' ').count());
        let mut text = String::new();
        for i in 0..max_tokens {
            cancel.check()?;
            text.push_str(&format!(" {i}"));
            if on_token(&trace(&format!("{prompt}{text}")), &text).is_break() {
                break;
            }
            if prompt == ENDLESS && i == 1 {
                wait_for_cancel(cancel)?;
            }
        }
        Ok(text)
    }

    fn compare(&mut self, prompt: &str, _raw: bool, reference: &str, _cancel: &Cancel) -> Result<Compared> {
        let log_probability = (!reference.is_empty()).then_some(-1.0);
        let trace = trace(prompt);
        let router = RouterConfig::default();
        Ok(Compared {
            router,
            trace,
            shares: vec![1.0],
            effective: 1.0,
            answer: None,
            log_probability,
            warnings: Vec::new(),
        })
    }

    fn attribute(
        &mut self,
        _prompt: &str,
        _raw: bool,
        answer: &str,
        _most: usize,
        cancel: &Cancel,
    ) -> Result<Attribution> {
        // The second time it is quicker.
        if self.studied.fetch_add(1, Ordering::SeqCst) == 0 && answer == ENDLESS {
            wait_for_cancel(cancel)?;
        }
        Ok(Attribution { routed: -1.0, base: -2.0, groups: Vec::new(), experts: Vec::new() })
    }

    fn explain(&mut self, prompt: &Prompt, token: usize, _most: usize, _cancel: &Cancel) -> Result<Why> {
        match token < prompt.ids.len() {
            true => Ok(Why {
                token,
                decided: "The highest scores".into(),
                score: Some("arrow"),
                decider: None,
                votes: Vec::new(),
                sequence: None,
                modules: Vec::new(),
            }),
            false => Err(Error::usage("there is no such token")),
        }
    }

    fn cost(&mut self, _prompt: &str, _raw: bool, cancel: &Cancel) -> Result<Cost> {
        cancel.check()?;
        let speed = Speed { prompt: 1.0, token: None };
        Ok(Cost { tokens: 1, routed: speed, base: speed, memory: None })
    }
}
