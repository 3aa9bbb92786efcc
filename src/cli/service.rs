//! Reaching the service and its channels.

use super::arguments::General;
use super::failure::{Failure, Status};
use SaEvt::api::{Channel, Connection, Error, Limits, Name, Opening, Release, patiently};

/// Connects, waiting for the daemon as long as the user does.
pub(super) fn connect(general: &General) -> Result<Connection, Failure> {
    connect_as(Release::B03, general)
}

/// The same, of any release.
pub(super) fn connect_as(release: Release, general: &General) -> Result<Connection, Failure> {
    patiently(general.wait, || Connection::open_as(release))
        .map_err(|error| Failure::of("cannot connect to the service", error))
}

/// Opens a channel for what `prepare` says. It is made if it does not exist, if that is wanted.
///
/// A name that cannot be created may be there nevertheless, made by a program of an old release.
pub(super) fn open(
    connection: &Connection,
    name: &Name,
    create: bool,
    general: &General,
    prepare: impl Fn(Opening<'_>) -> Opening<'_>,
) -> Result<Channel, Failure> {
    let opening = || prepare(connection.channel(name.octets()).within(general.wait));
    let shown = super::text::escape(name.octets());
    let what = format!("cannot open the channel {shown}");
    // Those of an older release cannot be asked for their limits.
    let dns = connection.limits().map_or(true, |limits| limits.channel_names_are_dns);
    let creatable = name.is_channel_dn() || !dns;
    let opening = if create && creatable { opening().create() } else { opening() };
    let outcome = patiently(general.wait, || opening.open());
    outcome.map_err(|error| match error {
        Error::NotExist if create && !creatable => Failure::new(
            Status::NotThere,
            format!(
                "{what}: there is none, and only names that begin with safChnl= can be made; \
                try safChnl={shown}"
            ),
        ),
        Error::NotExist if !create => Failure::new(
            Status::NotThere,
            format!(
                "{what}: there is none, or the policy of the daemon does not permit it; `saevt \
                 channels` lists those that exist"
            ),
        ),
        error => Failure::of(what, error),
    })
}

/// Whether so many patterns or filters, of so many bytes, are allowed. `option` is what gave them.
pub(super) fn check_patterns(
    option: &str,
    lengths: impl ExactSizeIterator<Item = usize>,
    limits: &Limits,
) -> Result<(), Failure> {
    let wrong = |what| Err(Failure::new(Status::Usage, format!("{option}: {what}")));
    let (given, most) = (lengths.len() as u64, limits.patterns_max);
    if given > most {
        return wrong(format!("{given} are too many: at most {most}, see `saevt limits`"));
    }
    let (longest, most) = (lengths.max().unwrap_or(0) as u64, limits.pattern_bytes_max);
    if longest > most {
        return wrong(format!("{longest} bytes are too many: at most {most}, see `saevt limits`"));
    }
    Ok(())
}
