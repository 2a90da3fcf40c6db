//! Chat templates that would never end, or never fit: each is an error in bounded time and memory.

use std::fmt::Write;
use std::time::{Duration, Instant};

use etude_lm::LmError;
use etude_lm::chat_template::{ChatTemplate, Conversation, SpecialTokens};
use serde_json::json;

fn render(source: &str) -> Result<String, LmError> {
    let template = ChatTemplate::new(source, SpecialTokens::default())?;
    Ok(template
        .render(&Conversation::new(json!([{"role": "user", "content": "hi"}])))?
        .text)
}

/// Far above what any of them takes (half a second each on one core), and far below what one that is not stopped takes.
const LONGEST: Duration = Duration::from_secs(30);
/// The most memory that this process may have held, in kB.
const MOST: u64 = 1_500_000;

/// Holds a template to its limit. Those that have none of their own end in some other error.
fn ends(source: &str, expected: fn(&LmError) -> bool) {
    let start = Instant::now();
    let error = render(source).unwrap_err();
    let shown: String = source.chars().take(150).collect();
    assert!(start.elapsed() < LONGEST, "{:?}: {shown}", start.elapsed());
    assert!(expected(&error), "{error}: {shown}");
    // Linux says how much memory there has been at most.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
        });
        assert!(peak.is_some_and(|peak| peak < MOST), "{peak:?} kB: {shown}");
    }
}

fn limited(error: &LmError) -> bool {
    matches!(error, LmError::TemplateLimit(_))
}

fn any(_: &LmError) -> bool {
    true
}

#[test]
fn values_that_double_end_with_an_error() {
    for (start, twice) in [
        ("[1]", "ns.x + ns.x"),
        ("'xx'", "ns.x + ns.x"),
        ("'xx'", "ns.x ~ ns.x"),
        ("[1]", "[ns.x, ns.x]"),
        ("[1]", "(ns.x, ns.x)"),
        ("[1]", "ns.x, ns.x"),
        ("[1]", "{'a': ns.x, 'b': ns.x}"),
        ("[1]", "dict(a=ns.x, b=ns.x)"),
        ("[1]", "[ns.x + ns.x, ns.x]"),
        ("[1]", "namespace(a=ns.x, b=ns.x)"),
        ("(1,)", "ns.x + ns.x"),
        ("[1]", "ns.x|list + ns.x|list"),
        ("'xx'", "ns.x * 2"),
        ("'xx'", "ns.x.replace('x', 'xx')"),
        ("'xx'", "'{0}{0}'.format(ns.x)"),
        ("'xx'", "ns.x|replace('x', 'xx')"),
        ("'xx'", "ns.x.join([ns.x, ns.x])"),
        ("[1]", "[ns.x, ns.x]|sum(start=[])"),
        ("[[1]]", "(ns.x|zip(ns.x)|list)"),
        ("[1]", "ns.x|batch(1)|list + ns.x"),
        ("[1]", "(ns.x|chain(ns.x)|list)"),
    ] {
        ends(
            &format!(
                "{{% set ns = namespace(x={start}) %}}{{% for i in range(99) %}}{{% set ns.x = {twice} %}}{{% endfor %}}"
            ),
            limited,
        );
    }
}

/// A value of this many million entries that was made within one tag, so that nothing weighed it on its way.
#[test]
fn large_values_are_not_gone_through_for_nothing() {
    for (made, used) in [
        ("[x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x]", ""),
        (
            "x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x",
            "",
        ),
    ] {
        for use_it in [
            "{{ y }}",
            "{{ y == z }}",
            "{{ y|tojson }}",
            "{{ y ~ '' }}",
            "{{ y|string }}",
            "{{ [y] in [z] }}",
            "{{ {y: 1} }}",
            "{{ y|join }}",
            "{{ y|sort }}",
            "{% set a, b = y %}",
            "{{ y|unique }}",
            "{{ y|map('string')|list }}",
            "{{ range(*y) }}",
            "{{ y < z }}",
            "{{ y.count(1) }}",
            "{{ y is eq z }}",
            "{{ 'a'.join(y) }}",
            "{{ y|pprint }}",
            "{{ y|sum }}",
        ] {
            let all = format!(
                "{{% set x = range(20000)|list %}}{{% for i in range(90000) %}}{{% set y = {made} %}}{{% set z = {made} %}}{use_it}{used}{{% endfor %}}"
            );
            ends(&all, any);
        }
    }
}

#[test]
fn nesting_ends_with_an_error() {
    let deep = "{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}";
    ends(deep, limited);
    ends(&format!("{deep}{{{{ ns.x }}}}"), limited);
    for source in [
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns.x = [ns] %}",
        "{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{{ a }}",
        "{% for x in [[1]] recursive %}{{ loop([[x, x], [x, x]]) }}{% endfor %}",
    ] {
        ends(source, limited);
    }
}

#[test]
fn loops_and_macros_end_with_an_error() {
    ends(
        &("{% for a in [1, 2] %}".repeat(60) + &"{% endfor %}".repeat(60)),
        limited,
    );
    ends(
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        limited,
    );
    ends("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", any);
    ends(
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
        limited,
    );
    for twice in ["[x, x]", "x + x", "x, x"] {
        ends(
            &format!(
                "{{% macro f(x, n) %}}{{% if n %}}{{{{ f({twice}, n - 1) }}}}{{% endif %}}{{{{ x }}}}{{% endmacro %}}{{{{ f([1], 45) }}}}"
            ),
            any,
        );
    }
    ends(
        "{% set x = range(100000)|list %}{% for i in range(100000) %}{% if x == x + [i] %}{% endif %}{% endfor %}",
        limited,
    );
    ends(
        "{% set x = range(100000)|list %}{% for i in range(100000) %}{{ x|string|length }}{% endfor %}",
        limited,
    );
}

#[test]
fn sizes_that_are_named_end_with_an_error() {
    for source in [
        "{{ [0] * 10**9 }}",
        "{{ 10**9 * [0] }}",
        "{{ ([0] * 99) * 99 }}",
        "{{ (1, 2) * 10**9 }}",
        "{{ 2 * messages|list }}",
        "{% set x = [0] * 100000000 %}{{ x + x + x }}",
        "{{ 'x' * 10**9 }}",
        "{{ 10**12 * 'x' }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ '{:.1000000000f}'.format(1.5) }}",
        "{{ [1]|tojson(indent=10**9) }}",
        "{{ 'a\nb'|indent(10**9) }}",
        "{{ [1]|batch(10**9, 0)|list }}",
        "{{ [1]|slice(10**9)|list }}",
    ] {
        ends(source, limited);
    }
    for source in [
        "{{ range(10**9)|list }}",
        "{{ range(10**18) }}",
        "{{ 'x'.center(10**9) }}",
        "{{ 'x'.ljust(10**9) }}",
        "{{ 'x'.zfill(10**9) }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ 1.5|round(10**9) ~ 10 ** 400 }}",
    ] {
        ends(source, any);
    }
}

#[test]
fn sources_without_measure_end_with_an_error() {
    const MANY: usize = 20_000;
    ends(&"x".repeat(2_000_000), limited);
    ends(&format!("{{{{ {} }}}}", vec!["messages"; MANY].join(" + ")), limited);
    for (before, after) in [
        ("x", "|trim"),
        ("x", ".a"),
        ("x", "[0]"),
        ("x", "()"),
        ("1", " if 0 else 1"),
        ("1", " == 1"),
        ("1", " is none"),
        ("1", "**1"),
    ] {
        ends(&format!("{{{{ {before}{} }}}}", after.repeat(MANY)), limited);
    }
    for before in ["not ", "-", "(", "[", "{1: ", "f("] {
        ends(&format!("{{{{ {}1", before.repeat(MANY)), any);
    }
    ends(
        &format!("{{% if x %}}{}{{% endif %}}", "{% elif x %}".repeat(MANY)),
        limited,
    );
    for (open, close) in [
        ("if x", "endif"),
        ("for x in y", "endfor"),
        ("filter trim", "endfilter"),
        ("generation", "endgeneration"),
    ] {
        ends(
            &format!(
                "{}{}",
                format!("{{% {open} %}}").repeat(MANY),
                format!("{{% {close} %}}").repeat(MANY)
            ),
            any,
        );
    }
    // Branches within branches.
    let mut nested = String::new();
    for _ in 0..100 {
        let _ = write!(nested, "{{% if x %}}{}", "{% elif x %}".repeat(90));
    }
    ends(&nested, limited);
}

#[test]
fn as_much_as_is_allowed_fits_on_a_small_stack() {
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(|| {
        for (before, after) in [
            ("1", " + 1"),
            ("messages", "|list"),
            ("1", " if 0 else 1"),
            ("1", " == 1"),
            ("'x'", "|trim"),
        ] {
            render(&format!("{{{{ {before}{} }}}}", after.repeat(240))).unwrap();
        }
        render(&format!("{{% if x %}}{}{{% endif %}}", "{% elif x %}".repeat(100))).unwrap();
        let nested = "[".repeat(70) + &"]".repeat(70);
        assert_eq!(render(&format!("{{{{ {nested} }}}}")).unwrap(), nested);
        render("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}").unwrap();
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn long_conversations_are_no_hostile_ones() {
    let text = "All happy families are alike. ".repeat(40);
    let messages: Vec<_> = (0..10_000)
        .map(|turn| json!({"role": if turn % 2 == 0 { "user" } else { "assistant" }, "content": text}))
        .collect();
    let families: serde_json::Value =
        serde_json::from_str(include_str!("fixtures/chat_template/conversations.json")).unwrap();
    for family in families.as_array().unwrap() {
        let tokens = SpecialTokens(serde_json::from_value(family["tokens"].clone()).unwrap());
        let template = ChatTemplate::new(family["template"].as_str().unwrap(), tokens).unwrap();
        let rendered = template
            .render(&Conversation::new(&messages))
            .unwrap_or_else(|error| panic!("{}: {error}", family["name"]));
        assert!(rendered.text.len() > 10_000 * (text.len() - 1), "{}", family["name"]);
    }
}
