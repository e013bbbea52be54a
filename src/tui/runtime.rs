//! The loop that owns the terminal and the clock: events and messages in, effects and frames out.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossterm::event::{Event, KeyEventKind};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::MissedTickBehavior;

use super::frame_limiter::FrameLimiter;
use super::services::Services;
use super::stderr::StderrGuard;
use super::terminal::TerminalGuard;
use super::{App, Effect, Message, Sender, Theme, TuiOptions};
use crate::signals::{Signal, Signals};
use crate::text::counted;
use crate::{Error, Result};

/// Time between two ticks while something moves.
const TICK: Duration = Duration::from_millis(100);

/// Why the loop ended.
enum Exit {
    /// The person quit.
    Quit,
    /// TERM, HUP or INT from outside, or the terminal went away.
    Interrupted,
}

/// Opens the interface on the library at `library` and returns when the person quits.
///
/// # Errors
/// When the terminal cannot be used; [`Error::Cancelled`] when a signal ended it. The terminal is as it
/// was before in every case.
pub fn run(library: PathBuf, options: TuiOptions) -> Result<()> {
    crate::threads::leave_room_for_the_screen();
    let terminal_error = |source| Error::msg(format!("the terminal cannot be used: {source}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(terminal_error)?;
    let theme = Theme::detect();
    let (send, receive) = Sender::channel();
    let mut app = App::new(library.clone(), options.device.clone());
    let exit = {
        let _stderr = StderrGuard::redirect(super::services::log_path(&library).as_deref());
        let mut terminal = TerminalGuard::enter().map_err(terminal_error)?;
        let mut services = Services::new(library.clone(), options, send);
        runtime.block_on(event_loop(&mut app, &theme, &mut terminal, &mut services, receive))
    };
    runtime.shutdown_background();
    let live = app.live_jobs();
    if live > 0 {
        let goes = if live == 1 { "goes" } else { "go" };
        eprintln!(
            "{} {goes} on in the background; `lora-tui jobs {}` shows and cancels them",
            counted(live, "job"),
            crate::text::printable(&library.display().to_string())
        );
    }
    match exit.map_err(terminal_error)? {
        Exit::Quit => Ok(()),
        Exit::Interrupted => Err(Error::Cancelled),
    }
}

/// Seconds since the epoch; 0 for clocks before it.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

async fn event_loop(
    app: &mut App,
    theme: &Theme,
    terminal: &mut TerminalGuard,
    services: &mut Services,
    mut messages: UnboundedReceiver<Message>,
) -> std::io::Result<Exit> {
    let mut signals = Signals::listen(&[
        Signal::Interrupt,
        Signal::Terminate,
        Signal::HangUp,
        Signal::Stop,
        Signal::Continue,
    ])?;
    let mut input = listen_to_the_terminal()?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut frames = FrameLimiter::default();
    // The first frame comes before any work.
    frames.begin(Instant::now());
    terminal.draw(app, theme)?;
    let mut asked = app.start();
    loop {
        for effect in asked.drain(..) {
            match effect {
                #[cfg(unix)]
                Effect::Suspend => {
                    terminal.suspend()?;
                    frames.request();
                }
                effect => services.run(effect),
            }
        }
        if app.should_quit() {
            return Ok(Exit::Quit);
        }
        services.watch_jobs_closely(app.wants_jobs());
        let due = frames.due(Instant::now());
        let frame = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = input.recv() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    app.set_time(now());
                    asked = app.update(Message::Key(key));
                    frames.request();
                }
                Some(Ok(Event::Paste(text))) => {
                    app.set_time(now());
                    asked = app.update(Message::Paste(text));
                    frames.request();
                }
                Some(Ok(Event::Resize(..))) => frames.request(),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(Exit::Interrupted),
            },
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
            signal = signals.next() => match signal {
                Signal::Interrupt | Signal::Terminate | Signal::HangUp => {
                    signal.remember();
                    return Ok(Exit::Interrupted);
                }
                Signal::Stop => asked.push(Effect::Suspend),
                Signal::Continue => {
                    terminal.resume()?;
                    frames.request();
                }
            },
            () = frame => {
                frames.begin(Instant::now());
                app.set_time(now());
                terminal.draw(app, theme)?;
            }
            _ = tick.tick(), if app.is_animating() => {
                app.set_time(now());
                asked = app.update(Message::Tick);
                frames.request();
            }
        }
    }
}

/// Keys, pastes and new sizes, read on a thread of its own; after an error there is no more.
fn listen_to_the_terminal() -> std::io::Result<UnboundedReceiver<std::io::Result<Event>>> {
    let (send, receive) = mpsc::unbounded_channel();
    // The thread's end is not waited for: reading blocks until a key is pressed.
    std::thread::Builder::new().name("input".into()).spawn(move || {
        loop {
            let event = crossterm::event::read();
            let failed = event.is_err();
            if send.send(event).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(receive)
}
