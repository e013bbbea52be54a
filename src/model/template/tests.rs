//! Templates against transformers (`tests/fixtures/make_chat_templates.py`), and what they may take.

use std::path::Path;

use serde_json::Value;

use super::{Dialect, Input, render, render_each};

fn input(value: &Value) -> Input {
    match value {
        Value::Null => Input::None,
        Value::Bool(flag) => Input::Flag(*flag),
        Value::Array(items) => Input::List(items.iter().map(input).collect()),
        Value::Object(fields) => Input::Fields(fields.iter().map(|(k, v)| (k.clone(), input(v))).collect()),
        other => Input::Text(other.as_str().unwrap().to_string()),
    }
}

fn variables(messages: &Value) -> Vec<(String, Input)> {
    let text = |text: &str| Input::Text(text.into());
    vec![
        ("messages".into(), input(messages)),
        ("tools".into(), Input::None),
        ("documents".into(), Input::None),
        ("add_generation_prompt".into(), Input::Flag(true)),
        ("bos_token".into(), text("<s>")),
        ("eos_token".into(), text("</s>")),
    ]
}

#[test]
fn templates_give_what_transformers_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat_templates.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() > 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let source = case["source"].as_str().unwrap();
        let found = render(source, &variables(&fixture["messages"]));
        match (case["text"].as_str(), &found) {
            (Some(text), Ok(found)) if text == found => {}
            (None, Err(_)) => {}
            (text, found) => wrong.push(format!("{source}\n  gives {found:?}\n  not   {text:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn whatever_a_template_does_it_ends_soon() {
    let deep =
        |open: &str, close: &str| format!("{{{{ {}1{} }}}}", open.repeat(100_000), close.repeat(100_000));
    let long = |part: &str| format!("{{{{ 1{} }}}}", part.repeat(100_000));
    let cases = [
        // Values that contain themselves.
        "{% set n = namespace() %}{% set n.x = n %}{{ n }}".to_string(),
        "{% set n = namespace() %}{% set n.x = n %}{{ n | tojson }}{{ n ~ '' }}".into(),
        "{% set n = namespace() %}{% set n.x = [n] %}{{ n.x }}{{ n.x | string }}".into(),
        "{% set n = namespace() %}{% set m = namespace(x=n) %}{% set n.x = [m] %}{% set m.y = [n] %}{{ n.x == m.y }}{{ n.x | sort }}{{ m }}".into(),
        "{% set n = namespace(x=[]) %}{% for i in range(100000) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}".into(),
        // Widths.
        "{{ 'a' | center(100000000000) }}".into(),
        "{{ '%100000000000d' % 1 }}".into(),
        "{{ '%.100000000000f' % 1 }}".into(),
        "{{ '%*d' % (100000000000, 1) }}".into(),
        "{{ '{:100000000000}'.format(1) }}".into(),
        "{{ '{:{w}}'.format(1, w=100000000000) }}".into(),
        "{{ 'a'.ljust(100000000000) }}".into(),
        "{{ 'a\\tb'.expandtabs(100000000000) }}".into(),
        "{{ [1] | tojson(indent=100000000000) }}".into(),
        "{{ 'a\nb' | indent(100000000000) }}".into(),
        "{{ [1] | batch(100000000000, 0) | list }}".into(),
        "{{ [1] | slice(100000000000) | list }}".into(),
        "{{ 'x' * 100000000000 }}".into(),
        "{{ [0] * 100000000000 }}".into(),
        "{{ range(100000000000) }}".into(),
        // Doublings.
        "{% set n = namespace(x='a') %}{% for i in range(100) %}{% set n.x = n.x ~ n.x %}{% endfor %}".into(),
        "{% set n = namespace(x=[1]) %}{% for i in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}".into(),
        "{% set n = namespace(x=[1]) %}{% for i in range(100) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}".into(),
        "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x == n.x * 1 }}{{ n.x | tojson }}".into(),
        "{% set n = namespace(x='ab') %}{% for i in range(100) %}{% set n.x = n.x | replace('a', n.x) %}{% endfor %}".into(),
        "{% set n = namespace(x='ab') %}{% for i in range(100) %}{% set n.x = n.x.join([n.x, n.x, n.x]) %}{% endfor %}".into(),
        "{% set n = namespace(x='a') %}{% for i in range(100) %}{% set n.x = '%s%s' % (n.x, n.x) %}{% endfor %}".into(),
        "{% set n = namespace(x='a') %}{% for i in range(100) %}{% set n.x = '{0}{0}'.format(n.x) %}{% endfor %}".into(),
        "{% set n = namespace(x='a') %}{% for i in range(100) %}{% set n.x = (n.x * 99) | e | list | join('&') %}{% endfor %}".into(),
        // Loops and calls.
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}".into(),
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}".into(),
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}".into(),
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}".into(),
        "{% for x in [[]] recursive %}{{ loop([[x]]) }}{% endfor %}".into(),
        "{% set d = namespace(x={}) %}{% for i in range(100000) %}{% set d.x = dict(d.x, **{i ~ '': i}) %}{% endfor %}".into(),
        "{{ 9 ** 9 ** 9 }}".into(),
        "{{ 2 ** 10000000 }}".into(),
        // Depth.
        deep("(", ")"),
        deep("[", "]"),
        deep("-", ""),
        deep("not ", ""),
        long("+1"),
        long("|abs"),
        long(".a"),
        long(" if 1 else 1"),
        long(" is number"),
        long(" or 0"),
        "{% if 1 %}".repeat(100_000),
        "{% for i in [1] %}".repeat(10_000),
    ];
    for case in &cases {
        let name: String = case.chars().take(120).collect();
        assert!(render(case, &[]).is_err(), "{name}");
    }
}

/// By CPython 3.11.
#[test]
fn texts_are_searched_and_numbers_are_sorted_as_python_does() {
    let lines = [("t".to_string(), Input::Text("a\u{b}b\r\nc\rd\n".into()))];
    for (source, expected) in [
        ("'\\x1ca b\\x1f'.split()", "['a', 'b']"),
        ("'abcabc'.find('a', 1)", "3"),
        ("'abcabc'.count('a', 1)", "1"),
        ("'abcabc'.count('', 1)", "6"),
        ("'abc'.find('', 3)", "3"),
        ("'abc'.find('', 4)", "-1"),
        ("'abcabc'.rfind('a', 0, 3)", "0"),
        ("'abcabc'.startswith('c', 2)", "True"),
        ("'abcabc'.startswith('b', -2)", "True"),
        ("'abcabc'.endswith('a', 0, 4)", "True"),
        ("'é猫a'.find('a', -9)", "2"),
        ("t.splitlines()", "['a', 'b', 'c', 'd']"),
        ("'a\\n\\nb'.splitlines(true)", "['a\\n', '\\n', 'b']"),
        (
            "[9007199254740993, 9007199254740992.0, 9007199254740991] | sort",
            "[9007199254740991, 9007199254740992.0, 9007199254740993]",
        ),
        ("[3, 1, 2] | sort(reverse=true)", "[3, 2, 1]"),
        ("9007199254740993 == 9007199254740992.0", "False"),
        ("('a' * 300000) | trim('b' * 300000 ~ 'a') | length", "0"),
        ("('a' * 300000).strip('b' * 300000 ~ 'a') | length", "0"),
    ] {
        assert_eq!(render(&format!("{{{{ {source} }}}}"), &lines).as_deref(), Ok(expected), "{source}");
    }
    assert!(render("{{ [1, 'a', 2, 'b', 3] | sort }}", &[]).is_err());
    let needle = "{% set n = 'a' * 2000000 %}{% for i in range(20000) %}{{ 'b'.find(n) }}{% endfor %}";
    assert_eq!(render(needle, &[]), Err("it takes too many steps".into()));
}

#[test]
fn a_replacement_counts_before_it_is_made() {
    let source = "{{ ('a' * 300000) | regex_replace('a', 'b' * 300000) }}";
    let found = render_each(source, Dialect::Items, std::iter::once(&[][..]), &mut |_, _| Ok(()));
    assert_eq!(found, Err("what it makes is too large".into()));
}

#[test]
fn a_template_that_is_too_long_is_refused() {
    let error = render(&"x".repeat(2 << 20), &[]).unwrap_err();
    assert!(error.contains("are the most that make sense"), "{error}");
    // A long text of the person's is none of the template's.
    let long = "y".repeat(8 << 20);
    assert_eq!(render("{{ m }}", &[("m".into(), Input::Text(long.clone()))]).unwrap().len(), long.len());
}

#[test]
fn the_clock_is_read() {
    let year = render("{{ strftime_now('%Y') }}", &[]).unwrap();
    assert!(year.parse::<u32>().is_ok_and(|year| (1970..3000).contains(&year)), "{year}");
}

#[test]
fn items_keep_their_whitespace_and_miss_nothing() {
    let input = [("a".to_string(), Input::Text(" x1y22 ".into())), ("n".into(), Input::Int(3))];
    let rendered = |source: &str| {
        let mut all = Vec::new();
        let take = &mut |at, text| {
            all.push((at, text));
            Ok(())
        };
        render_each(source, Dialect::Items, [&input[..], &input[1..]].into_iter(), take).map(|()| all)
    };
    assert_eq!(
        rendered("{{n}}\n{% if true %}\n !{% endif %}\n"),
        Ok(vec![(0, "3\n\n !\n".into()), (1, "3\n\n !\n".into())])
    );
    assert_eq!(rendered("{{a|default('-')}}").unwrap()[1].1, "-");
    for source in ["{{a}}", "{{a.strip()}}", "{% for x in a %}{% endfor %}", "{{a ~ ''}}", "{{a|upper}}"] {
        assert!(rendered(source).unwrap_err().starts_with("a is undefined"), "{source}");
    }
    assert_eq!(
        render_each(
            r"{{a|regex_replace('([a-z])(\d+)', '<\\2\\1>')}}",
            Dialect::Items,
            std::iter::once(&input[..]),
            &mut |_, text| if text == " <1x><22y> " { Ok(()) } else { Err(text) }
        ),
        Ok(())
    );
    assert!(render("{{ 'a'|regex_replace('a', 'b') }}", &[]).unwrap_err().contains("is unknown"));
}
