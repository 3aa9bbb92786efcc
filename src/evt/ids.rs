//! The numbers by which agent and node speak of things, and the identifiers programs see.

use bitflags::bitflags;

/// A library handle inside one process: a small number the agent chooses and may reuse after the
/// handle is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LibraryNo(pub u32);

/// An open instance inside one process, numbered by the agent: the low 32 bits are a slot, below
/// `Limits::instances_per_process_max`; the high 32 bits tell successive users of a slot apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceNo(pub u64);

impl InstanceNo {
    /// Builds the number from a slot and the generation of its user.
    #[must_use]
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | slot as u64)
    }

    /// The slot, an index into the process's table.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// The generation of the slot's user.
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// A subscription of an open instance, numbered by the agent in order of registration. Never
/// reused on the instance, unlike the program's own [`SubscriptionId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionNo(pub u32);

/// What the program calls its subscription: `SaEvtSubscriptionIdT`, any value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u32);

/// The identifier of a publication: `SaEvtEventIdT`.
///
/// Ten bits of member number, 18 of start count (never 0), 36 of counter: unique in the cluster
/// and across restarts. Never compared for order and never used to suppress duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

impl EventId {
    /// The event was allocated and not published: `SA_EVT_EVENTID_NONE`.
    pub const NONE: Self = Self(0);
    /// The lost-event event: `SA_EVT_EVENTID_LOST`.
    pub const LOST: Self = Self(1);
    /// The largest reserved value; published events have greater ones.
    pub const RESERVED_MAX: Self = Self(1000);
    /// Width of the counter.
    pub const COUNTER_BITS: u32 = 36;
    /// Width of the start count.
    pub const START_BITS: u32 = 18;
    /// Width of the member number.
    pub const MEMBER_BITS: u32 = 10;

    /// The first identifier of a start of a member. `start` is 1 or more, so every identifier is
    /// far above [`EventId::RESERVED_MAX`].
    #[must_use]
    pub const fn first_of(member: u16, start: u32) -> Self {
        let member = (member as u64) & ((1 << Self::MEMBER_BITS) - 1);
        let start = (start as u64) & ((1 << Self::START_BITS) - 1);
        Self(member << (Self::START_BITS + Self::COUNTER_BITS) | start << Self::COUNTER_BITS)
    }

    /// The first member number that no host of a cluster has: from here on are those of private
    /// services, whose events keep their identifiers when they move to the service of the host.
    pub const PRIVATE_MEMBERS: u16 = 512;

    /// The member number of the private service of a user. Users share numbers; their events are
    /// told apart by the start counts too, which private services begin at random.
    #[must_use]
    pub const fn private_member(user: u32) -> u16 {
        Self::PRIVATE_MEMBERS + (user % Self::PRIVATE_MEMBERS as u32) as u16
    }

    /// The member number in the identifier.
    #[must_use]
    pub const fn member(self) -> u16 {
        (self.0 >> (Self::START_BITS + Self::COUNTER_BITS)) as u16
    }

    /// Whether the value may name a published event.
    #[must_use]
    pub const fn is_publishable(self) -> bool {
        self.0 > Self::RESERVED_MAX.0
    }
}

/// One life of a channel name, from its creation to its deletion: 64 bits of a hash of the name
/// above a number (member, start, counter as in [`EventId`]) that is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u128);

bitflags! {
    /// How a channel is opened: `SaEvtChannelOpenFlagsT`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct OpenFlags: u8 {
        /// The instance may publish.
        const PUBLISHER = 0x1;
        /// The instance may subscribe.
        const SUBSCRIBER = 0x2;
        /// Make the channel if no linked one has the name.
        const CREATE = 0x4;
    }
}

/// What a node notes beside the flags that a program can give. These bits have no names among the
/// flags, so that no program and no other node can send them.
impl OpenFlags {
    /// The two rights of an open instance.
    pub const RIGHTS: Self = Self::PUBLISHER.union(Self::SUBSCRIBER);
    /// The right to publish was asked for and is withheld.
    pub const PUBLISHER_WITHHELD: Self = Self::from_bits_retain(0x8);
    /// The right to subscribe was asked for and is withheld.
    pub const SUBSCRIBER_WITHHELD: Self = Self::from_bits_retain(0x10);

    /// Those of the rights that were asked for, also where they are withheld.
    #[must_use]
    pub const fn asked(self) -> Self {
        let withheld = Self::from_bits_retain(self.bits() >> 3);
        self.union(withheld).intersection(Self::RIGHTS)
    }

    /// The same with those of the rights that were asked for which are in `permitted`; the others
    /// are withheld.
    #[must_use]
    pub const fn limited_to(self, permitted: Self) -> Self {
        let asked = self.asked();
        let withheld = Self::from_bits_retain(asked.difference(permitted).bits() << 3);
        self.intersection(Self::CREATE).union(asked.intersection(permitted)).union(withheld)
    }
}
