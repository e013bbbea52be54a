//! The loop that owns the terminal and the clock: events and messages in, effects and frames out.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::MissedTickBehavior;

use super::frame_limiter::FrameLimiter;
use super::input::{self, Input};
use super::services::Services;
use super::stderr::StderrGuard;
use super::terminal::TerminalGuard;
use super::{App, Depth, Effect, Ground, Message, Sender, Theme, TuiOptions, editor};
use crate::signals::{self, Signal, Signals};
use crate::text::{counted, printable, typed_path};
use crate::{Error, Result};

/// Time between two ticks while something moves.
const TICK: Duration = Duration::from_millis(100);

/// How often a terminal that reads nothing is made room in, before the program ends without its answer.
#[cfg(unix)]
const ATTEMPTS: usize = 10;

/// Why the loop ended.
enum Exit {
    /// The person quit.
    Quit,
    /// TERM, HUP or INT from outside, or the terminal went away, which is remembered.
    Interrupted,
}

/// What the loop listens to.
struct Sources {
    messages: UnboundedReceiver<Message>,
    input: UnboundedReceiver<Input>,
    signals: UnboundedReceiver<Signal>,
}

/// Opens the interface on the library at `library` and returns when the person quits.
///
/// # Errors
/// When the terminal cannot be used; [`Error::Cancelled`] when a signal ended it or the terminal went away, which is
/// the same as HUP. The terminal is as it was before in every case.
pub fn run(library: PathBuf, options: TuiOptions) -> Result<()> {
    crate::threads::keep_little_freed_memory();
    crate::threads::leave_room_for_the_screen();
    let terminal_error = |source| Error::msg(format!("the terminal cannot be used: {source}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(terminal_error)?;
    let looks = Looks::new(options.theme);
    let (send, messages) = Sender::channel();
    let mut app = App::new(library.clone(), options.device.clone());
    let exit = {
        let _stderr = StderrGuard::redirect(super::services::log_path(&library).as_deref());
        // First of all: a signal that nobody listens to would end the program with the terminal taken.
        let signals = listen_to_signals().map_err(terminal_error)?;
        let mut terminal = TerminalGuard::enter().map_err(terminal_error)?;
        let input = input::listen().map_err(terminal_error)?;
        let mut services = Services::new(library, options.clone(), send);
        let sources = Sources { messages, input, signals };
        let exit =
            runtime.block_on(event_loop(&mut app, looks, &mut terminal, &mut services, &options, sources));
        // What cannot be written any more has gone away, whether HUP came first or not.
        exit.unwrap_or_else(|_| hung_up())
    };
    runtime.shutdown_background();
    let live = app.live_jobs();
    if live > 0 {
        let continues = if live == 1 { "continues" } else { "continue" };
        // Nobody may be there to read it.
        let _ = writeln!(
            std::io::stderr(),
            "{} {continues} in the background; `lora-tui jobs {}` shows and cancels them",
            counted(live, "job"),
            printable(&typed_path(&app.shared().root))
        );
    }
    match exit {
        Exit::Quit => Ok(()),
        Exit::Interrupted => Err(Error::Cancelled),
    }
}

/// The end where there is no terminal any more.
fn hung_up() -> Exit {
    Signal::HangUp.remember();
    Exit::Interrupted
}

/// For which terminal everything is drawn.
struct Looks {
    depth: Depth,
    /// The person's choice.
    ground: Ground,
    theme: Theme,
}

impl Looks {
    fn new(ground: Ground) -> Self {
        let depth = Depth::detect();
        Self { depth, ground, theme: Theme::on(depth, ground) }
    }

    /// Whether the terminal's answer matters.
    fn asks(&self) -> bool {
        self.ground == Ground::Auto && self.depth != Depth::Plain
    }

    /// Takes the terminal's answer: a background of this colour.
    fn learn(&mut self, background: [u8; 3]) {
        if self.asks() {
            self.theme = Theme::on(self.depth, Ground::of_background(background));
        }
    }
}

/// Listens to signals on a thread of its own: where the loop waits for a terminal that reads nothing, a signal that
/// asks for the end ends the program all the same, a little later.
fn listen_to_signals() -> std::io::Result<UnboundedReceiver<Signal>> {
    let (send, receive) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen(&[
            Signal::Interrupt,
            Signal::Terminate,
            Signal::HangUp,
            Signal::Stop,
            Signal::Continue,
            Signal::Resize,
        ])?
    };
    let listen = async move {
        loop {
            let signal = signals.next().await;
            // Ctrl-C goes to all programs at the terminal; it is the editor's.
            if signal == Signal::Interrupt && editor::is_at_work() {
                continue;
            }
            if signal.ends() {
                signal.remember();
                let _ = send.send(signal);
                break;
            }
            let _ = send.send(signal);
        }
        tokio::time::sleep(signals::PATIENCE).await;
        #[cfg(unix)]
        {
            for _ in 0..ATTEMPTS {
                super::crash::make_room();
                tokio::time::sleep(TICK).await;
            }
            super::crash::give_back();
        }
        signals::end_now()
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(listen))?;
    Ok(receive)
}

/// Seconds since the epoch; 0 for clocks before it.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

async fn event_loop(
    app: &mut App,
    mut looks: Looks,
    terminal: &mut TerminalGuard,
    services: &mut Services,
    options: &TuiOptions,
    Sources { mut messages, mut input, mut signals }: Sources,
) -> std::io::Result<Exit> {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut frames = FrameLimiter::default();
    // The first frame comes before any work, and before the terminal's answer.
    frames.begin(Instant::now());
    terminal.draw(app, &looks.theme)?;
    if looks.asks() {
        terminal.ask_for_ground()?;
    }
    let mut asked = app.start();
    // Where the terminal does not say it, nobody knows.
    let mut focused = None;
    let in_tmux = std::env::var_os("TMUX").is_some_and(|value| !value.is_empty());
    loop {
        let (mut opened, mut edited) = (None, None);
        for effect in asked.drain(..) {
            match effect {
                Effect::OpenLibrary(root) => opened = Some(root),
                #[cfg(unix)]
                Effect::Suspend => {
                    terminal.suspend()?;
                    frames.request();
                }
                Effect::Redraw => {
                    terminal.redraw()?;
                    frames.request();
                }
                // Whoever looks has seen it.
                Effect::Notify(_) if focused == Some(true) => {}
                Effect::Notify(text) => terminal.write(&options.notify.sequence(&text, in_tmux))?,
                Effect::Edit(text) => {
                    edited = Some(terminal.lend(|| editor::edit(&text))?);
                    frames.request();
                }
                effect => services.run(effect),
            }
        }
        if app.should_quit() {
            return Ok(Exit::Quit);
        }
        if let Some(text) = edited {
            // Being stopped and continued meanwhile was the editor's affair.
            while let Ok(signal) = signals.try_recv() {
                if signal.ends() {
                    return Ok(Exit::Interrupted);
                }
            }
            asked = app.update(Message::Edited(text));
            continue;
        }
        if let Some(root) = opened {
            // What the services of the other library still answer goes nowhere.
            let (send, receive) = Sender::channel();
            messages = receive;
            *services = Services::new(root.clone(), options.clone(), send);
            asked = app.reopen(root);
            frames.request();
            continue;
        }
        services.watch_jobs_closely(app.shows_jobs(), app.wants_jobs());
        let due = frames.due(Instant::now());
        let frame = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = input.recv() => {
                app.set_time(now());
                match event {
                    Some(Input::Key(key)) => asked = app.update(Message::Key(key)),
                    Some(Input::Paste(text)) => asked = app.update(Message::Paste(text)),
                    Some(Input::Ground(background)) => looks.learn(background),
                    Some(Input::Focus(on)) => {
                        focused = Some(on);
                        continue;
                    }
                    None => return Ok(hung_up()),
                }
                frames.request();
            }
            Some(message) = messages.recv() => {
                app.set_time(now());
                let mut next = Some(message);
                // Answers that came together are drawn together.
                while let Some(message) = next {
                    if let Message::Library(Ok(library)) = &message {
                        services.library_read(library);
                    }
                    asked.extend(app.update(message));
                    next = messages.try_recv().ok();
                }
                frames.request();
            }
            Some(signal) = signals.recv() => match signal {
                Signal::Interrupt | Signal::Terminate | Signal::HangUp => return Ok(Exit::Interrupted),
                Signal::Stop => asked.push(Effect::Suspend),
                Signal::Continue => {
                    terminal.resume()?;
                    frames.request();
                }
                // Only workers listen to it.
                Signal::Resize | Signal::Warning => frames.request(),
            },
            () = frame => {
                frames.begin(Instant::now());
                app.set_time(now());
                terminal.draw(app, &looks.theme)?;
            }
            _ = tick.tick(), if app.is_animating() => {
                app.set_time(now());
                asked = app.update(Message::Tick);
                frames.request();
            }
        }
    }
}
