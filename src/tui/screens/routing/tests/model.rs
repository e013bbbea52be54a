//! A model that is not there yet, and requests that wait for it.

use super::*;
use crate::catalog::Catalog;
use crate::tui::PromptsEffect;

#[test]
fn the_place_for_the_file_is_whole_at_every_size() {
    let place = "/elsewhere/base/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/model.gguf";
    // 40 × 8 is what a terminal of 40 × 10 leaves.
    for (width, height) in SIZES.into_iter().chain([(40, 8)]) {
        let shown = render(&RoutingScreen::new(), &shared(offline()), width, height);
        let joined: String = shown.lines().map(str::trim).collect();
        assert!(joined.contains(place) && joined.contains("No source has"), "{shown}");
    }
}

#[test]
fn a_prompt_written_before_the_engine_is_ready_is_routed_then() {
    let mut shared = shared(EngineState::Unloaded);
    let mut screen = RoutingScreen::new();
    let read = Effect::Prompts(PromptsEffect::Read);
    assert_eq!(screen.on_show(&shared), [read, Effect::Engine(EngineEffect::Load)]);
    assert_eq!(screen.on_show(&shared), [Effect::Engine(EngineEffect::Load)], "they are read once");
    press(&mut screen, &shared, key('i'));
    assert_eq!(press(&mut screen, &shared, key('a')), []);
    shared.engine = ready();
    let effects = screen.on_message(&Message::Engine(EngineMessage::State(ready())), &shared);
    assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == "a"));
}

#[test]
fn a_tab_shown_before_the_library_was_read_loads_the_model_then() {
    let mut shared = Shared::default();
    let mut screen = RoutingScreen::new();
    assert_eq!(screen.on_show(&shared), [Effect::Prompts(PromptsEffect::Read)]);
    let library: Arc<Catalog> = Arc::new(library(&["sum".to_string()]).into());
    shared.library = Some(library.clone());
    assert_eq!(
        screen.on_message(&Message::Library(Ok(library.clone())), &shared),
        [Effect::Engine(EngineEffect::Load)]
    );
    let mut unseen = RoutingScreen::new();
    assert_eq!(unseen.on_message(&Message::Library(Ok(library)), &shared), []);
}

#[test]
fn a_missing_model_can_be_fetched_even_after_typing() {
    let missing = EngineState::Missing { what: "a model".into(), error: None };
    let shared = shared(missing.clone());
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    screen.on_message(&Message::Engine(EngineMessage::State(missing)), &shared);
    assert_eq!(press(&mut screen, &shared, key('f')), [Effect::Engine(EngineEffect::FetchBase)]);
    assert_eq!(press(&mut screen, &shared, key('R')), [Effect::Engine(EngineEffect::Load)]);
}
