//! A subscriber and a publisher in one program, in Rust.

use SaEvt::api::{Connection, Delivery, Error, Filter, Filters};
use std::time::Duration;

pub(crate) fn main() -> Result<(), Error> {
    let connection = Connection::open_within(Duration::from_secs(10))?;
    let kitchen = connection.channel("safChnl=kitchen").create().publisher().subscriber().open()?;
    kitchen.subscribe(Filters(vec![Filter::exact("oven")]))?;

    kitchen.event().pattern("fridge").publish("is open")?;
    let id = kitchen.event().pattern("oven").publisher("cook").publish("dinner is ready")?;

    // Only what matches the filter comes, and what was lost is told.
    for delivery in connection.deliveries() {
        match delivery? {
            Delivery::Event(event) => {
                assert_eq!(event.id(), id);
                println!("{}: {}", event.publisher().escape_ascii(), event.data().escape_ascii());
                return Ok(());
            }
            Delivery::Lost(lost) => println!("events of {} were lost", lost.channel()),
        }
    }
    Ok(())
}
