/* A process that runs out of memory gets a code and lives on. */
#include "evt_test.h"

#define EVENTS_MOST 200000
#define PATTERN_SIZE 250
#define PATTERNS 10

static SaEvtEventHandleT events[EVENTS_MOST];

static void forbid_growth(size_t bytes)
{
    struct rlimit space;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    NEED(file != NULL);
    NEED(fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    NEED(getrlimit(RLIMIT_AS, &space) == 0);
    space.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
    NEED(setrlimit(RLIMIT_AS, &space) == 0);
}

static void allow_growth(void)
{
    struct rlimit space;
    NEED(getrlimit(RLIMIT_AS, &space) == 0);
    space.rlim_cur = space.rlim_max;
    NEED(setrlimit(RLIMIT_AS, &space) == 0);
}

static int short_of_something(SaAisErrorT result)
{
    return result == SA_AIS_ERR_NO_MEMORY || result == SA_AIS_ERR_NO_RESOURCES;
}

static SaAisErrorT set_large_patterns(SaEvtEventHandleT event)
{
    static SaUint8T octets[PATTERN_SIZE];
    SaEvtEventPatternT items[PATTERNS];
    SaEvtEventPatternArrayT patterns = {0, PATTERNS, items};
    size_t index;
    for (index = 0; index < PATTERNS; index++) {
        items[index].allocatedSize = 0;
        items[index].patternSize = PATTERN_SIZE;
        items[index].pattern = octets;
    }
    return saEvtEventAttributesSet(event, &patterns, 1, 0, NULL);
}

/* Allocates until something is short; every refusal leaves what was there. */
static void allocation_is_refused_in_good_order(SaEvtChannelHandleT channel)
{
    SaAisErrorT result = SA_AIS_OK;
    SaEvtEventPriorityT priority = 9;
    size_t number = 0;
    size_t index;
    forbid_growth(16 * 1024 * 1024);
    while (number < EVENTS_MOST && result == SA_AIS_OK) {
        result = saEvtEventAllocate(channel, &events[number]);
        if (result == SA_AIS_OK) {
            result = set_large_patterns(events[number]);
            number++;
        }
    }
    CHECK(short_of_something(result));
    CHECK(number > 100);
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(events[0], NULL, &priority, NULL, NULL, NULL, NULL));
    CHECK_EQ(1, priority);
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(events[index]));
    allow_growth();
    CHECK_AIS(SA_AIS_OK, saEvtEventAllocate(channel, &events[0]));
    CHECK_AIS(SA_AIS_OK, set_large_patterns(events[0]));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(events[0]));
}

/* Arrays of patterns that the program does not free. */
static void reading_patterns_is_refused_in_good_order(SaEvtChannelHandleT channel)
{
    enum { ARRAYS_MOST = 50000 };
    static SaEvtEventPatternT *arrays[ARRAYS_MOST];
    SaEvtEventHandleT event = event_new(channel);
    SaAisErrorT result = SA_AIS_OK;
    size_t number = 0;
    size_t index;
    NEED_OK(set_large_patterns(event));
    forbid_growth(16 * 1024 * 1024);
    while (number < ARRAYS_MOST) {
        SaEvtEventPatternArrayT patterns = {0, 0, NULL};
        result = saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL);
        if (result != SA_AIS_OK)
            break;
        arrays[number++] = patterns.patterns;
    }
    CHECK(short_of_something(result));
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, arrays[index]));
    allow_growth();
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* With room for nearly nothing, and with a little more each time. */
static void initialize_is_refused_in_good_order(void)
{
    size_t bytes;
    int worked = 0;
    for (bytes = 0; bytes <= 64u * 1024 * 1024 && !worked; bytes = bytes == 0 ? 4096 : bytes * 2) {
        SaVersionT version = {'B', 3, 1};
        SaEvtHandleT library = 99;
        SaAisErrorT result;
        forbid_growth(bytes);
        result = saEvtInitialize(&library, NULL, &version);
        allow_growth();
        worked = result == SA_AIS_OK;
        CHECK(worked || short_of_something(result) || result == SA_AIS_ERR_TRY_AGAIN);
        if (worked)
            CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
        else
            CHECK_EQ(99, library);
    }
    CHECK(worked);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library_recording()));
}

/* Takes no memory of its own while there is none. */
static char data[60000];
static size_t received;
static size_t lost;
static int ended;

static void deliver(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    SaEvtEventIdT id = 0;
    (void)subscription;
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, NULL, &id));
    if (id == SA_EVT_EVENTID_LOST)
        lost++;
    else if (size == sizeof data)
        received++;
    else
        ended = 1;
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void dispatch_without_memory(SaEvtHandleT library)
{
    void *blocks[256];
    size_t number = 0;
    size_t size;
    size_t index;
    forbid_growth(0);
    for (size = 1024 * 1024; size >= 1024; size /= 2) {
        while (number < 256 && (blocks[number] = malloc(size)) != NULL)
            number++;
    }
    for (index = 0; index < 5; index++) {
        SaAisErrorT result = saEvtDispatch(library, SA_DISPATCH_ONE);
        CHECK(result == SA_AIS_OK || result == SA_AIS_ERR_TRY_AGAIN
              || short_of_something(result));
    }
    while (number > 0)
        free(blocks[--number]);
    allow_growth();
}

/* What cannot be received now is received later, or its loss is told. */
static void receiving_goes_on_after_a_shortage(void)
{
    enum { NUMBER = 20 };
    SaEvtCallbacksT callbacks = {NULL, deliver};
    SaEvtHandleT library = library_new(3, &callbacks);
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventHandleT event = event_with(channel, NULL, 1, 0);
    struct pollfd entry;
    size_t index;
    subscribe_all(channel, 1);
    for (index = 0; index < NUMBER; index++)
        event_publish(event, data, sizeof data);
    settle(library);
    dispatch_without_memory(library);
    publish_text(channel, "end", LOWEST, 0);
    entry.fd = selection_object(library);
    entry.events = POLLIN;
    while (!ended) {
        if (poll(&entry, 1, -1) > 0)
            NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
    }
    CHECK(received == NUMBER || lost > 0);
    CHECK(received <= NUMBER);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

/* Keeps what it gets: the octets of each event are its number. */
static SaEvtEventHandleT kept[32];
static size_t kept_number;
static int is_short;
static size_t read_while_short;

static void check_kept(size_t index)
{
    static char room[sizeof data];
    SaSizeT size = sizeof room;
    size_t at;
    size_t right = 0;
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(kept[index], room, &size));
    CHECK_EQ(sizeof data, size);
    for (at = 0; at < sizeof room; at++)
        right += room[at] == (char)index;
    CHECK_EQ(sizeof data, right);
}

static void keep(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    (void)subscription;
    CHECK_EQ(sizeof data, size);
    NEED(kept_number < sizeof kept / sizeof kept[0]);
    kept[kept_number] = event;
    check_kept(kept_number);
    kept_number++;
    read_while_short += is_short;
}

/* Takes all memory that is there in blocks of `least` bytes or more; gives it back for 0. */
static void take_memory(size_t least)
{
    static void *blocks[4096];
    static size_t number;
    size_t size;
    for (size = 1024 * 1024; least > 0 && size >= least; size /= 2) {
        while (number < 4096 && (blocks[number] = malloc(size)) != NULL)
            number++;
    }
    while (least == 0 && number > 0)
        free(blocks[--number]);
}

/* What a program keeps stays what it is, also if there is no memory for it for a while. */
static void what_is_kept_waits_for_memory(size_t number)
{
    SaEvtCallbacksT callbacks = {NULL, keep};
    SaEvtHandleT library = library_new(3, &callbacks);
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventHandleT event = event_with(channel, NULL, 1, 0);
    SaAisErrorT result = SA_AIS_OK;
    struct pollfd entry;
    size_t index;
    kept_number = 0;
    read_while_short = 0;
    subscribe_all(channel, 1);
    for (index = 0; index < number; index++) {
        memset(data, (int)index, sizeof data);
        event_publish(event, data, sizeof data);
    }
    settle(library);
    entry.fd = selection_object(library);
    entry.events = POLLIN;
    NEED_OK(saEvtDispatch(library, SA_DISPATCH_ONE));
    CHECK_EQ(1, kept_number);
    forbid_growth(0);
    take_memory(4096);
    is_short = 1;
    for (index = 0; index < 3; index++)
        result = saEvtDispatch(library, SA_DISPATCH_ALL);
    CHECK(result == SA_AIS_ERR_TRY_AGAIN || short_of_something(result));
    CHECK(poll(&entry, 1, 0) == 1);
    CHECK(kept_number == 1 + read_while_short);
    is_short = 0;
    take_memory(0);
    allow_growth();
    /* One is called back without memory for its data, and read then. */
    CHECK_REC(read_while_short == 1);
    do {
        if (poll(&entry, 1, -1) > 0)
            NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
    } while (kept_number < number);
    CHECK(poll(&entry, 1, 0) == 0);
    for (index = 0; index < number; index++) {
        check_kept(index);
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(kept[index]));
    }
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

int main(int argc, char **argv)
{
    SaEvtHandleT library;
    SaEvtChannelHandleT channel;
    SaNameT name;
    test_begin(argc, argv);
    if (test_instrumented()) {
        test_skip("sanitizers and checkers take address space of their own");
        return test_end();
    }
    library = library_recording();
    channel = channel_fresh(library, &name);
    initialize_is_refused_in_good_order();
    allocation_is_refused_in_good_order(channel);
    reading_patterns_is_refused_in_good_order(channel);
    receiving_goes_on_after_a_shortage();
    what_is_kept_waits_for_memory(20);
    /* With nothing behind it that waits for a callback. */
    what_is_kept_waits_for_memory(2);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
