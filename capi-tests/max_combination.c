/* Everything at its limit at once: SAI-AIS-EVT-B.03.01, saEvtLimitGet(). */
#include "evt_test.h"

static size_t size_most;
static size_t number_most;
static size_t pattern_most;
static SaUint8T *octets; /* of all patterns, one behind the other */
static SaUint8T *data;
static SaUint8T *room;
static SaNameT publisher;
static size_t checked;

static void check_whole(SaEvtEventHandleT event)
{
    SaEvtEventPatternArrayT patterns = {0, 0, NULL};
    SaNameT name;
    SaSizeT size = size_most;
    size_t index;
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, &name, NULL, NULL));
    CHECK_EQ(number_most, patterns.patternsNumber);
    for (index = 0; index < patterns.patternsNumber; index++) {
        CHECK_EQ(pattern_most, patterns.patterns[index].patternSize);
        CHECK(memcmp(patterns.patterns[index].pattern, octets + index * pattern_most,
                     pattern_most) == 0);
    }
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, patterns.patterns));
    CHECK_EQ(publisher.length, name.length);
    CHECK(memcmp(name.value, publisher.value, publisher.length) == 0);
    memset(room, 0, size_most);
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &size));
    CHECK_EQ(size_most, size);
    CHECK(memcmp(room, data, size_most) == 0);
}

static void deliver(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    (void)subscription;
    CHECK_EQ(size_most, size);
    check_whole(event);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    checked++;
}

static SaEvtEventHandleT largest_event(SaEvtChannelHandleT channel, SaTimeT retention_ns)
{
    SaEvtEventPatternT *items = calloc(number_most, sizeof *items);
    SaEvtEventPatternArrayT patterns = {0, number_most, items};
    SaEvtEventHandleT event = event_new(channel);
    size_t index;
    NEED(items != NULL);
    for (index = 0; index < number_most; index++) {
        items[index].patternSize = pattern_most;
        items[index].pattern = octets + index * pattern_most;
    }
    NEED_OK(saEvtEventAttributesSet(event, &patterns, 1, retention_ns, &publisher));
    free(items);
    return event;
}

static void largest_subscription(SaEvtChannelHandleT channel)
{
    static const SaEvtEventFilterTypeT types[] = {
        SA_EVT_EXACT_FILTER, SA_EVT_PREFIX_FILTER, SA_EVT_SUFFIX_FILTER,
    };
    SaEvtEventFilterT *items = calloc(number_most, sizeof *items);
    SaEvtEventFilterArrayT filters = {number_most, items};
    size_t index;
    NEED(items != NULL);
    for (index = 0; index < number_most; index++) {
        items[index].filterType = types[index % 3];
        items[index].filter.patternSize = pattern_most;
        items[index].filter.pattern = octets + index * pattern_most;
    }
    NEED_OK(saEvtEventSubscribe(channel, &filters, 1));
    free(items);
}

static void fill(void)
{
    size_t index;
    octets = malloc(number_most * pattern_most);
    data = malloc(size_most);
    room = malloc(size_most);
    NEED(octets != NULL && data != NULL && room != NULL);
    for (index = 0; index < number_most * pattern_most; index++)
        octets[index] = (SaUint8T)(index * 13 + index / 256);
    for (index = 0; index < size_most; index++)
        data[index] = (SaUint8T)(index * 17 + index / 256);
    publisher.length = 256;
    for (index = 0; index < 256; index++)
        publisher.value[index] = (SaUint8T)index;
}

static void dispatch_until(SaEvtHandleT library, size_t wanted)
{
    struct pollfd entry;
    entry.fd = selection_object(library);
    entry.events = POLLIN;
    while (checked < wanted) {
        if (poll(&entry, 1, -1) > 0)
            NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
    }
}

int main(int argc, char **argv)
{
    SaEvtCallbacksT callbacks = {NULL, deliver};
    SaEvtHandleT library;
    SaEvtHandleT listener;
    SaEvtChannelHandleT channel;
    SaEvtChannelHandleT late;
    SaEvtEventHandleT event;
    SaNameT name;
    size_t rounds;
    size_t round;
    test_begin(argc, argv);
    rounds = test_rounds(40, 5);
    library = library_recording();
    listener = library_new(3, &callbacks);
    size_most = (size_t)limit(library, SA_EVT_MAX_EVT_SIZE_ID);
    number_most = (size_t)limit(library, SA_EVT_MAX_NUM_PATTERNS_ID);
    pattern_most = (size_t)limit(library, SA_EVT_MAX_PATTERN_SIZE_ID);
    fill();
    channel = channel_fresh(library, &name);
    largest_subscription(channel_open(listener, &name, OPEN_BOTH));
    largest_subscription(channel_open(listener, &name, OPEN_BOTH));
    event = largest_event(channel, RETAIN_NS);
    for (round = 1; round <= rounds; round++) {
        event_publish(event, data, size_most);
        if (round % 4 == 0 || round == rounds)
            dispatch_until(listener, 2 * round);
    }
    late = channel_open(listener, &name, OPEN_BOTH);
    largest_subscription(late);
    dispatch_until(listener, 3 * rounds);
    CHECK_EQ(3 * rounds, checked);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(listener));
    free(octets);
    free(data);
    free(room);
    return test_end();
}
