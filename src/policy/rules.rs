//! The rules as they stand in the configuration: `[[policy]]` tables.

use super::{Actions, Policy, Rule, Who};
use crate::evt::NamePattern;
use serde::Deserialize;

/// Rules of a policy: each is looked at for a question that none before it has decided.
pub const RULES_MAX: usize = 256;
/// Patterns of all rules together, so that a question takes a part of a millisecond at most.
pub const PATTERNS_MAX: usize = 1024;

/// Finds the number of a user or a group by its name; `Err` says in one line why not.
pub type LookUp<'a> = &'a dyn Fn(&str) -> Result<u32, String>;

/// One `[[policy]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    users: Option<Vec<Account>>,
    groups: Option<Vec<Account>>,
    channels: Option<Vec<String>>,
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
}

/// A user or a group, by name or number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Account {
    Number(u32),
    Name(String),
}

/// The policy of a whole configuration, whatever else that has.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    policy: Vec<Table>,
}

impl Policy {
    /// The rules in the text of a configuration.
    ///
    /// # Errors
    ///
    /// One line: which rule, what is wrong, what to do.
    pub fn of_configuration(
        text: &str,
        user: LookUp<'_>,
        group: LookUp<'_>,
    ) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            format!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        Self::of_tables(&file.policy, user, group)
    }

    /// The rules of tables in their order.
    ///
    /// # Errors
    ///
    /// As [`Policy::of_configuration`].
    pub(crate) fn of_tables(
        tables: &[Table],
        user: LookUp<'_>,
        group: LookUp<'_>,
    ) -> Result<Self, String> {
        if tables.len() > RULES_MAX {
            return Err(format!("{} policy rules: at most {RULES_MAX} are read", tables.len()));
        }
        let mut policy = Self::default();
        for (index, table) in tables.iter().enumerate() {
            let rule = rule(table, user, group)
                .map_err(|what| format!("policy rule {}: {what}", index + 1))?;
            policy.patterns += rule.channels.as_ref().map_or(0, Vec::len);
            policy.has_groups |= rule.who.as_ref().is_some_and(|who| !who.groups.is_empty());
            policy.rules.push(rule);
        }
        if policy.patterns > PATTERNS_MAX {
            let number = policy.patterns;
            return Err(format!("{number} channels in policy rules: at most {PATTERNS_MAX}"));
        }
        Ok(policy)
    }
}

fn rule(table: &Table, user: LookUp<'_>, group: LookUp<'_>) -> Result<Rule, String> {
    let (names, permits) = match (&table.allow, &table.deny) {
        (Some(names), None) => (names, true),
        (None, Some(names)) => (names, false),
        _ => return Err("give either allow or deny".to_owned()),
    };
    let mut actions = Actions::empty();
    for name in names {
        actions |= action(name)?;
    }
    if actions.is_empty() {
        return Err("it names no action; give some, or \"*\" for all".to_owned());
    }
    let nothing = |list: &Option<Vec<String>>| list.as_ref().is_some_and(Vec::is_empty);
    if nothing(&table.channels) {
        return Err("channels is empty; leave it out for all channels".to_owned());
    }
    let patterns = |list: &Vec<String>| list.iter().map(|text| NamePattern::new(text)).collect();
    let channels = table.channels.as_ref().map(patterns);
    Ok(Rule { who: who(table, user, group)?, channels, actions, permits })
}

fn who(table: &Table, user: LookUp<'_>, group: LookUp<'_>) -> Result<Option<Who>, String> {
    if table.users.is_none() && table.groups.is_none() {
        return Ok(None);
    }
    let numbers = |list: &Option<Vec<Account>>, look_up: LookUp<'_>| {
        let accounts = list.iter().flatten();
        let number = |account: &Account| match account {
            Account::Number(number) => Ok(*number),
            Account::Name(name) => look_up(name),
        };
        accounts.map(number).collect::<Result<Vec<_>, _>>()
    };
    let named = Who { users: numbers(&table.users, user)?, groups: numbers(&table.groups, group)? };
    if named == Who::default() {
        return Err("users and groups are empty; leave both out for everybody".to_owned());
    }
    Ok(Some(named))
}

fn action(name: &str) -> Result<Actions, String> {
    if name == "*" {
        return Ok(Actions::all());
    }
    let known = Actions::NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, action)| *action).ok_or_else(|| {
        format!("there is no action {name:?}; use {}, or \"*\"", Actions::all().shown())
    })
}
