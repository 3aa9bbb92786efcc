use super::*;

/// Users are called `u1`, `u2` and so on, groups `g1`.
fn number(letter: char) -> impl Fn(&str) -> Result<u32, String> {
    move |name| {
        let digits = name.strip_prefix(letter).and_then(|digits| digits.parse().ok());
        digits.ok_or_else(|| format!("nobody is called {name}"))
    }
}

fn read(text: &str) -> Result<Policy, String> {
    Policy::of_configuration(text, &number('u'), &number('g'))
}

fn policy(text: &str) -> Policy {
    read(text).unwrap()
}

const fn user(user: u32) -> Subject<'static> {
    Subject { user, groups: &[] }
}

#[test]
fn without_rules_everything_is_permitted() {
    let none = policy("[node]\nsocket = \"/x\"\n");
    assert!(none.is_empty());
    assert_eq!(none.permitted(user(7), b"safChnl=a"), Actions::all());
    let decision = none.decide(user(7), b"", Actions::ADMINISTRATE);
    assert_eq!(decision, Decision { permitted: true, rule: None });
}

#[test]
fn the_first_rule_that_is_about_it_decides() {
    let text = "[[policy]]\nusers = [\"u1\"]\nchannels = [\"safChnl=a\"]\nallow = [\"publish\"]\n\
                [[policy]]\nchannels = [\"safChnl=a*\"]\ndeny = [\"publish\", \"create\"]\n\
                [[policy]]\nallow = [\"*\"]\n";
    let policy = policy(text);
    let publish = |who, channel: &[u8]| policy.decide(user(who), channel, Actions::PUBLISH);
    assert_eq!(publish(1, b"safChnl=a"), Decision { permitted: true, rule: Some(1) });
    assert_eq!(publish(2, b"safChnl=a"), Decision { permitted: false, rule: Some(2) });
    assert_eq!(publish(1, b"safChnl=ab"), Decision { permitted: false, rule: Some(2) });
    assert_eq!(publish(1, b"safChnl=b"), Decision { permitted: true, rule: Some(3) });
    // Each action is decided by itself.
    let on_a = policy.permitted(user(1), b"safChnl=a");
    assert_eq!(on_a, Actions::all() - Actions::CREATE);
    assert_eq!(policy.permitted(user(2), b"safChnl=b"), Actions::all());
}

#[test]
fn what_is_told_in_one_go_is_what_each_action_comes_to() {
    let text = "[[policy]]\nusers = [1, \"u2\"]\ngroups = [5]\nchannels = [\"*x\", \"y?\"]\n\
                deny = [\"publish\", \"clear\"]\n\
                [[policy]]\ngroups = [\"g6\"]\nallow = [\"publish\", \"unlink\"]\n\
                [[policy]]\nchannels = [\"y*\"]\ndeny = [\"*\"]\n";
    let policy = policy(text);
    for who in [user(1), user(2), user(3), Subject { user: 3, groups: &[5, 6] }] {
        for channel in [&b""[..], b"x", b"ax", b"y", b"yy", b"yyy", b"z"] {
            let all = policy.permitted(who, channel);
            for (name, action) in Actions::NAMES {
                let one = policy.decide(who, channel, action).permitted;
                assert_eq!(all.contains(action), one, "{who:?} {channel:?} {name}");
            }
        }
    }
}

#[test]
fn a_rule_is_about_a_user_it_names_and_about_members_of_a_group_it_names() {
    let policy = policy("[[policy]]\nusers = [1]\ngroups = [20, 30]\ndeny = [\"*\"]\n");
    assert!(policy.asks_for_groups());
    let may = |user, groups| !policy.permitted(Subject { user, groups }, b"c").is_empty();
    assert!(!may(1, &[]));
    assert!(!may(2, &[10, 30]));
    assert!(may(2, &[10, 1]), "the number of a user is not that of a group");
    assert!(may(20, &[]), "nor that of a group the number of a user");
}

#[test]
fn channels_are_matched_byte_by_byte() {
    let policy = policy("[[policy]]\nchannels = [\"safChnl=?\", \"k\\u00fc*\"]\ndeny = [\"*\"]\n");
    let may = |channel: &[u8]| !policy.permitted(user(1), channel).is_empty();
    assert!(!may(b"safChnl=\xff"), "a byte that is no text");
    assert!(!may(b"safChnl=\n"));
    assert!(may("safChnl=ü".as_bytes()), "two bytes");
    assert!(may(b"safChnl="));
    assert!(!may("küche".as_bytes()));
    assert!(may(b"k\xfcche"), "another text in another encoding");
    assert!(may(b"xsafChnl=a"), "the whole name must match");
}

#[test]
fn what_concerns_no_channel_has_an_empty_name() {
    let policy = policy(
        "[[policy]]\nusers = [1]\nallow = [\"administrate\"]\n\
         [[policy]]\nchannels = [\"safChnl=*\"]\ndeny = [\"administrate\"]\n\
         [[policy]]\nchannels = [\"*\"]\nusers = [2]\ndeny = [\"administrate\"]\n",
    );
    let may = |who| policy.permitted(user(who), b"").contains(Actions::ADMINISTRATE);
    assert_eq!([may(1), may(2), may(3)], [true, false, true]);
}

#[test]
fn a_bad_rule_is_one_clear_line() {
    let many = |number: usize, what: &str| what.repeat(number);
    let rules = many(RULES_MAX + 1, "[[policy]]\nallow = [\"*\"]\n");
    let patterns = format!("[[policy]]\ndeny = [\"*\"]\nchannels = [{}]", many(1025, "\"a\","));
    let cases = [
        ("[[policy]]\n", "policy rule 1: give either allow or deny"),
        ("[[policy]]\nallow = [\"*\"]\ndeny = [\"*\"]\n", "give either allow or deny"),
        ("[[policy]]\nallow = []\n", "it names no action"),
        ("[[policy]]\nallow = [\"fly\"]\n", "no action \"fly\"; use publish, subscribe, create"),
        (
            "[[policy]]\nallow = [\"*\"]\n[[policy]]\nusers = [\"x\"]\ndeny = [\"*\"]\n",
            "rule 2: nob",
        ),
        ("[[policy]]\ngroups = [\"u1\"]\ndeny = [\"*\"]\n", "nobody is called u1"),
        ("[[policy]]\nusers = []\ndeny = [\"*\"]\n", "users and groups are empty"),
        ("[[policy]]\nchannels = []\ndeny = [\"*\"]\n", "channels is empty"),
        ("[[policy]]\nchanels = [\"a\"]\ndeny = [\"*\"]\n", "line 2: unknown field `chanels`"),
        (&rules, "257 policy rules: at most 256"),
        (&patterns, "1025 channels in policy rules: at most 1024"),
    ];
    for (text, says) in cases {
        let line = read(text).unwrap_err();
        assert!(line.contains(says) && !line.contains('\n'), "{line}");
    }
}
