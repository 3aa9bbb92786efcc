/* Many processes publish to one: whole events, in the order of each, whoever is killed. */
#include "evt_test.h"

#define PUBLISHERS 8
#define LARGEST 6000
/* Numbers of processes; each is used once, as the events of the dead may be late. */
#define NUMBERS (PUBLISHERS * 32)

static SaEvtHandleT library;
static long last[NUMBERS];
static size_t received;
static size_t lost;
static size_t sentinels;

/* The argument of a role is "<number> <channel name>". */
static unsigned long role_number(SaNameT *name)
{
    char *rest;
    unsigned long number = strtoul(test_role_argument(), &rest, 10);
    name_text(name, rest + 1);
    return number;
}

static struct child publisher_start(const char *role, size_t number, const char *name)
{
    char argument[2 * TEXT_MAX];
    snprintf(argument, sizeof argument, "%lu %s", (unsigned long)number, name);
    return child_start(role, argument);
}

struct record {
    uint32_t publisher;
    uint32_t index;
    unsigned char fill[LARGEST];
};

static size_t record_size(const struct record *record)
{
    return 8 + (record->publisher * 977 + record->index * 389) % LARGEST;
}

static unsigned char record_octet(const struct record *record, size_t at)
{
    return (unsigned char)(record->publisher * 31 + record->index * 7 + at);
}

static void publish_record(SaEvtEventHandleT event, uint32_t publisher, uint32_t index)
{
    static struct record record;
    size_t size;
    size_t at;
    record.publisher = publisher;
    record.index = index;
    size = record_size(&record);
    for (at = 0; at + 8 < size; at++)
        record.fill[at] = record_octet(&record, at);
    event_publish(event, &record, size);
}

static void deliver(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    static struct record record;
    SaEvtEventIdT id = 0;
    SaSizeT given = sizeof record;
    size_t at;
    int whole = 1;
    (void)subscription;
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, NULL, &id));
    CHECK_AIS(SA_AIS_OK, (given = sizeof record, saEvtEventDataGet(event, &record, &given)));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    if (id == SA_EVT_EVENTID_LOST) {
        lost++;
        return;
    }
    if (size == 3) {
        sentinels++;
        return;
    }
    NEED(size >= 8 && record.publisher < NUMBERS);
    CHECK_EQ(record_size(&record), size);
    for (at = 0; at + 8 < size; at++)
        whole = whole && record.fill[at] == record_octet(&record, at);
    CHECK(whole);
    CHECK((long)record.index > last[record.publisher]);
    last[record.publisher] = (long)record.index;
    received++;
}

static void publisher_role(size_t events)
{
    SaNameT name;
    unsigned long number = role_number(&name);
    SaEvtHandleT own = library_new(3, NULL);
    SaEvtEventHandleT event;
    size_t index;
    event = event_new(channel_open(own, &name, SA_EVT_CHANNEL_PUBLISHER));
    parent_say('r');
    while (parent_hear() == 'g') {
        for (index = 0; index < events; index++)
            publish_record(event, (uint32_t)number, (uint32_t)index);
    }
}

static void victim_role(void)
{
    SaNameT name;
    unsigned long number = role_number(&name);
    SaEvtHandleT own = library_new(3, NULL);
    SaEvtEventHandleT event;
    uint32_t index = 0;
    event = event_new(channel_open(own, &name, SA_EVT_CHANNEL_PUBLISHER));
    parent_say('r');
    for (;;)
        publish_record(event, (uint32_t)number, index++);
}

static void forget_order(void)
{
    size_t index;
    for (index = 0; index < NUMBERS; index++)
        last[index] = -1;
    received = lost = sentinels = 0;
}

static size_t events_each(void)
{
    return test_rounds(100, 15);
}

/* One callback at a time where the inflow never ends: how much SA_DISPATCH_ALL takes at once is
 * not what is tested here. */
static void dispatch_until(const size_t *counter, size_t wanted, SaDispatchFlagsT flags)
{
    struct pollfd entry;
    entry.fd = selection_object(library);
    entry.events = POLLIN;
    while (*counter < wanted) {
        if (poll(&entry, 1, -1) < 0)
            continue;
        NEED_OK(saEvtDispatch(library, flags));
    }
}

/* No more than a queue holds at a time, so that each of them must arrive. */
static void events_of_many_arrive_in_order(const char *text)
{
    struct child children[PUBLISHERS];
    size_t round;
    size_t index;
    for (index = 0; index < PUBLISHERS; index++) {
        children[index] = publisher_start("publisher", index, text);
        NEED(child_hear(&children[index]) == 'r');
    }
    for (round = 0; round < test_rounds(10, 2); round++) {
        forget_order();
        for (index = 0; index < PUBLISHERS; index++)
            child_say(&children[index], 'g');
        dispatch_until(&received, PUBLISHERS * events_each(), SA_DISPATCH_ALL);
        CHECK_EQ(0, lost);
        for (index = 0; index < PUBLISHERS; index++)
            CHECK_EQ(events_each() - 1, last[index]);
    }
    for (index = 0; index < PUBLISHERS; index++) {
        child_say(&children[index], 'q');
        child_end(&children[index]);
    }
}

/* The kill comes at no particular point of a publish. What arrives is whole and in order. */
static void kills_leave_whole_events(const char *text, SaEvtChannelHandleT channel)
{
    size_t round;
    for (round = 0; round < test_rounds(20, 2); round++) {
        struct child children[PUBLISHERS];
        SaEvtEventHandleT sentinel = event_new(channel);
        size_t number = (round + 1) * PUBLISHERS;
        size_t index;
        received = lost = sentinels = 0;
        for (index = 0; index < PUBLISHERS; index++) {
            children[index] = publisher_start("victim", number + index, text);
            NEED(child_hear(&children[index]) == 'r');
        }
        for (index = 0; index < PUBLISHERS; index++) {
            dispatch_until(&received, received + 20 + round * 3, SA_DISPATCH_ONE);
            child_kill(&children[index]);
        }
        /* Dropped with others if the queue is still full: published until one comes. */
        while (sentinels == 0) {
            event_publish(sentinel, "end", 3);
            settle(library);
            NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
        }
        settle(library);
        drain(library);
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(sentinel));
    }
}

int main(int argc, char **argv)
{
    SaEvtCallbacksT callbacks = {NULL, deliver};
    char text[TEXT_MAX];
    SaNameT name;
    SaEvtChannelHandleT channel;
    test_begin(argc, argv);
    if (strcmp(test_role(), "publisher") == 0) {
        publisher_role(events_each());
        return test_end();
    }
    if (strcmp(test_role(), "victim") == 0) {
        victim_role();
        return test_end();
    }
    snprintf(text, sizeof text, "%s", name_fresh_text());
    name_text(&name, text);
    library = library_new(3, &callbacks);
    channel = channel_open(library, &name, OPEN_ALL);
    subscribe_all(channel, 1);
    events_of_many_arrive_in_order(text);
    kills_leave_whole_events(text, channel);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
