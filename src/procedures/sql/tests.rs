use proptest::prelude::*;

use super::*;
use crate::procedures::{Call, Given, Value};

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn read(statement: &str) -> Call {
    parse_call(statement)
        .unwrap_or_else(|| panic!("{statement}: no call"))
        .unwrap_or_else(|e| panic!("{statement}: {e}"))
}

/// The arguments of a call that are given by their places.
fn values(arguments: &str) -> Vec<Value> {
    read(&format!("CALL f({arguments})")).arguments.into_iter().map(|given| given.value).collect()
}

fn refused(statement: &str) -> String {
    parse_call(statement).unwrap_or_else(|| panic!("{statement}: no call")).unwrap_err().to_string()
}

#[test]
fn reads_calls() {
    let sync = Call {
        name: "backup".into(),
        arguments: vec![Given::at_its_place(text("sync")), Given::at_its_place(text("offsite"))],
    };
    for statement in [
        "CALL backup('sync','offsite')",
        "call backup ( 'sync' , 'offsite' ) ;",
        "  -- every night\n CALL/* this */`backup`(\"sync\",\n'offsite'--the remote\n);  ",
        "/* a */ /* b */CALL \"backup\"('sync', 'offsite') -- done",
        "CALL [backup]('sync', 'offsite');/* done */",
    ] {
        assert_eq!(read(statement), sync, "{statement}");
    }
    assert_eq!(read("CALL dolt_backup()"), Call { name: "dolt_backup".into(), arguments: vec![] });
    assert_eq!(read("CALL backups;").arguments, vec![]);
}

#[test]
fn reads_every_constant() {
    assert_eq!(values("'it''s', \"say \"\"so\"\"\", '', 'é ); --'"), ["it's", "say \"so\"", "", "é ); --"].map(text));
    assert_eq!(values("1, -2, + 3, 0x10, 007"), [1, -2, 3, 16, 7].map(Value::Integer));
    assert_eq!(values("1.5, -.5, 2e3, 2E-1, 9223372036854775808").len(), 5);
    assert_eq!(values("1.5, -.5, 2e3, 2E-1"), [1.5, -0.5, 2000.0, 0.2].map(Value::Real));
    assert_eq!(values("-9223372036854775808, 9223372036854775807"), [i64::MIN, i64::MAX].map(Value::Integer));
    assert_eq!(values("NULL, null, TRUE, false"), [Value::Null, Value::Null, Value::Integer(1), Value::Integer(0)]);
    assert_eq!(values("x'00fF', X''"), [Value::Blob(vec![0, 255]), Value::Blob(vec![])]);
}

#[test]
fn reads_named_arguments() {
    let call = read("CALL sp_backup_restore(Database => 'shop', \"BackupId\"=>-3, note=>NULL, 'x')");
    let names: Vec<_> = call.arguments.iter().map(|given| given.name.as_deref()).collect();
    assert_eq!(names, [Some("Database"), Some("BackupId"), Some("note"), None]);
    assert_eq!(call.arguments[1].value, Value::Integer(-3));
}

#[test]
fn other_statements_are_none() {
    for statement in
        ["", "  ;", "SELECT backup('sync')", "callback('x')", "'call' x", "-- CALL x()", "/* CALL", "(CALL x)"]
    {
        assert!(parse_call(statement).is_none(), "{statement}");
    }
}

#[test]
fn says_what_is_wrong_with_a_call() {
    for (statement, reason) in [
        ("CALL", "the name of a procedure is missing"),
        ("CALL 'x'()", "the name of a procedure is expected, not 'x'"),
        ("CALL x(", "an argument is missing"),
        ("CALL x('a'", "a comma or ) is missing"),
        ("CALL x('a',)", "an argument is expected, not ')'"),
        ("CALL x('a' 'b')", "a comma or ) is expected, not 'b'"),
        ("CALL x('a)", "a text that begins with ' has no end"),
        ("CALL x([a)", "a text that begins with [ has no end"),
        ("CALL x(x'0')", "x'0' is no blob"),
        ("CALL x(12ab)", "'12ab' is no number"),
        ("CALL x(1e999999x)", "is no number"),
        ("CALL x(-'a')", "a number is expected, not 'a'"),
        ("CALL x(-x'00')", "a number is expected"),
        ("CALL x(offsite)", "'offsite' is no constant; a text stands in quotes, 'offsite'"),
        ("CALL x(a => )", "an argument is expected, not ')'"),
        ("CALL x(?)", "an argument is expected, not '?'"),
        ("CALL x(); CALL y()", "its end is expected, not 'CALL'"),
        ("CALL x() /* ", "a comment has no end"),
    ] {
        let found = refused(statement);
        assert!(found.contains(reason), "{statement}: {found}");
    }
    let hint = parse_call("CALL x(").unwrap().unwrap_err().hint().unwrap();
    assert!(hint.contains("CALL backup('sync', 'offsite')"), "{hint}");
}

proptest! {
    #[test]
    fn never_panics(text in "(CALL )?[a-z'\"`\\[\\]();,=>0-9.xeEé +*/-]{0,40}") {
        let _ = parse_call(&text);
    }

    #[test]
    fn any_text_in_quotes_comes_back(text in ".*") {
        let call = read(&format!("CALL f('{}')", text.replace('\'', "''")));
        prop_assert_eq!(&call.arguments, &[Given::at_its_place(Value::Text(text))]);
    }
}
