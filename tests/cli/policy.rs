//! `saevt policy test`, and what the tool shows of refusals.

use crate::bed::Bed;
use crate::tool::{CHANNEL, run, watched};
use nix::unistd::Uid;
use serde_json::Value;

/// Writes a configuration and gives its path.
fn configuration(bed: &Bed, text: &str) -> String {
    let path = bed.path("rules.conf");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_policy_is_tested_without_a_daemon() {
    watched(|| {
        let bed = Bed::new();
        let file = configuration(
            &bed,
            "[[policy]]\nusers = [\"root\"]\nallow = [\"publish\"]\n\
             [[policy]]\ngroups = [0]\nchannels = [\"safChnl=a*\"]\ndeny = [\"*\"]\n\
             [[policy]]\nusers = [4711]\nchannels = [\"*\"]\ndeny = [\"administrate\"]\n\
             [[policy]]\nusers = [4711]\nchannels = [\"?\"]\nallow = [\"administrate\"]\n",
        );
        let test = |user, channel, action| {
            let run = run(&bed, &["policy", "test", user, channel, action, "--config", &file]);
            assert_eq!(run.errors, "");
            (run.status.code(), run.output)
        };
        let by = |rule| format!("by rule {rule} of {file}\n");
        let allowed = |why: String| (Some(0), format!("allowed: {why}"));
        let denied = |why: String| (Some(1), format!("denied: {why}"));
        assert_eq!(test("root", "safChnl=ab", "publish"), allowed(by(1)));
        assert_eq!(test("0", "safChnl=ab", "publish"), allowed(by(1)));
        // By the group that root logs in with.
        assert_eq!(test("root", "safChnl=ab", "subscribe"), denied(by(2)));
        let none = format!("none of the 4 rules of {file} is about it\n");
        assert_eq!(test("4711", "safChnl=ab", "subscribe"), allowed(none));
        // Not about the channel that is named.
        assert_eq!(test("4711", "x", "administrate"), denied(by(3)));
    });
}

#[test]
fn a_policy_test_that_makes_no_sense_is_told_in_one_line() {
    watched(|| {
        let bed = Bed::new();
        let test = |arguments: &[&str]| run(&bed, &[&["policy", "test"], arguments].concat());
        let complaint = test(&["root", CHANNEL, "fly"]).complaint(2);
        assert!(complaint.contains("<ACTION>") && complaint.contains("fly"), "{complaint}");
        test(&["root", "", "publish"]).complaint(2);
        let missing = bed.path("none").display().to_string();
        let complaint = test(&["root", CHANNEL, "publish", "--config", &missing]).complaint(2);
        assert!(complaint.starts_with(&format!("--config: {missing}: cannot be read: ")));
        let bad = configuration(&bed, "[[policy]]\nallow = []\n");
        let complaint = test(&["root", CHANNEL, "publish", "--config", &bad]).complaint(2);
        let why = "policy rule 1: it names no action; give some, or \"*\" for all";
        assert_eq!(complaint, format!("--config: {bad}: {why}"));
        let good = configuration(&bed, "");
        let complaint = test(&["no such\x1buser", CHANNEL, "publish", "--config", &good]);
        let complaint = complaint.complaint(2);
        assert!(complaint.starts_with("<USER>: there is no user "), "{complaint}");
        assert!(!complaint.contains('\x1b'), "{complaint:?}");
    });
}

#[test]
fn what_is_refused_is_told_and_counted() {
    watched(|| {
        let bed = Bed::new();
        let user = Uid::effective();
        let _daemon = bed.daemon_with(&format!(
            "[[policy]]\nusers = [{user}]\nchannels = [\"{CHANNEL}\"]\ndeny = [\"publish\"]\n\
             [[policy]]\nusers = [{user}]\nchannels = [\"safChnl=x\"]\ndeny = [\"*\"]\n\
             [[policy]]\nusers = [{user}]\ndeny = [\"administrate\", \"unlink\"]\n"
        ));
        let why = "it does not exist, or the policy of the daemon does not permit it";
        let complaint = run(&bed, &["publish", CHANNEL, "x"]).complaint(4);
        assert!(complaint.ends_with(why), "{complaint}");
        let complaint = run(&bed, &["unlink", "safChnl=y"]).complaint(4);
        assert_eq!(complaint, format!("cannot unlink safChnl=y: {why}"));
        run(&bed, &["watch", CHANNEL, "--retained"]).ok();
        run(&bed, &["publish", "safChnl=y", "x"]).ok();
        run(&bed, &["retained", "safChnl=x"]).complaint(4);
        run(&bed, &["retained", "safChnl=y"]).ok();
        let status: Value = serde_json::from_str(&run(&bed, &["status", "--json"]).ok()).unwrap();
        assert_eq!(status["counters"]["refusals"], 3, "{status}");
        let channels: Value =
            serde_json::from_str(&run(&bed, &["channels", "--json"]).ok()).unwrap();
        let names: Vec<_> =
            channels["channels"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(names, [CHANNEL, "safChnl=y"], "what may be subscribed to is shown");
    });
}
