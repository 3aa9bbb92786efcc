/* Matching of filters and patterns, end to end: SAI-AIS-EVT-B.03.01, Event Filters. */
#include "evt_test.h"

#define PREFIX SA_EVT_PREFIX_FILTER
#define SUFFIX SA_EVT_SUFFIX_FILTER
#define EXACT SA_EVT_EXACT_FILTER
#define ALL SA_EVT_PASS_ALL_FILTER

struct octets {
    const char *start;
    size_t size;
};
#define O(text) {text, sizeof text - 1}

struct row {
    const char *name;
    int matches;
    size_t filters_number;
    struct {
        SaEvtEventFilterTypeT type;
        struct octets octets;
    } filters[3];
    size_t patterns_number;
    struct octets patterns[3];
};

static const struct row rows[] = {
    /* Pairing: surplus filters meet empty patterns, surplus patterns are matched. */
    {"no filters, no patterns", 1, 0, {{ALL, O("")}}, 0, {O("")}},
    {"no filters, patterns", 1, 0, {{ALL, O("")}}, 2, {O("a"), O("b")}},
    {"all, none", 1, 1, {{ALL, O("")}}, 0, {O("")}},
    {"all with octets, none", 1, 1, {{ALL, O("zzz")}}, 0, {O("")}},
    {"exact empty, none", 1, 1, {{EXACT, O("")}}, 0, {O("")}},
    {"exact a, none", 0, 1, {{EXACT, O("a")}}, 0, {O("")}},
    {"prefix a, none", 0, 1, {{PREFIX, O("a")}}, 0, {O("")}},
    {"suffix a, none", 0, 1, {{SUFFIX, O("a")}}, 0, {O("")}},
    {"surplus suffix empty", 1, 2, {{EXACT, O("a")}, {SUFFIX, O("")}}, 1, {O("a")}},
    {"surplus prefix b", 0, 2, {{EXACT, O("a")}, {PREFIX, O("b")}}, 1, {O("a")}},
    {"surplus exact empty", 1, 2, {{EXACT, O("a")}, {EXACT, O("")}}, 1, {O("a")}},
    {"surplus all", 1, 2, {{EXACT, O("a")}, {ALL, O("b")}}, 1, {O("a")}},
    {"surplus pattern", 1, 1, {{EXACT, O("a")}}, 2, {O("a"), O("zzz")}},
    {"second of two", 1, 2, {{ALL, O("")}, {EXACT, O("b")}}, 2, {O("x"), O("b")}},
    {"second differs", 0, 2, {{ALL, O("")}, {EXACT, O("b")}}, 2, {O("b"), O("x")}},
    {"third differs", 0, 3, {{ALL, O("")}, {ALL, O("")}, {SUFFIX, O("c")}}, 3,
     {O("a"), O("b"), O("cd")}},
    {"first differs", 0, 2, {{EXACT, O("a")}, {ALL, O("")}}, 2, {O("b"), O("a")}},
    /* Prefix. */
    {"prefix of", 1, 1, {{PREFIX, O("ab")}}, 1, {O("abc")}},
    {"prefix equal", 1, 1, {{PREFIX, O("abc")}}, 1, {O("abc")}},
    {"prefix longer", 0, 1, {{PREFIX, O("abc")}}, 1, {O("ab")}},
    {"prefix differs", 0, 1, {{PREFIX, O("ab")}}, 1, {O("acb")}},
    {"prefix is suffix", 0, 1, {{PREFIX, O("bc")}}, 1, {O("abc")}},
    {"prefix case", 0, 1, {{PREFIX, O("AB")}}, 1, {O("abc")}},
    /* Suffix. */
    {"suffix of", 1, 1, {{SUFFIX, O("bc")}}, 1, {O("abc")}},
    {"suffix equal", 1, 1, {{SUFFIX, O("abc")}}, 1, {O("abc")}},
    {"suffix longer", 0, 1, {{SUFFIX, O("xabc")}}, 1, {O("abc")}},
    {"suffix differs", 0, 1, {{SUFFIX, O("bd")}}, 1, {O("abc")}},
    {"suffix is prefix", 0, 1, {{SUFFIX, O("ab")}}, 1, {O("abc")}},
    {"suffix repeated", 1, 1, {{SUFFIX, O("aab")}}, 1, {O("aaab")}},
    /* Exact. */
    {"exact equal", 1, 1, {{EXACT, O("abc")}}, 1, {O("abc")}},
    {"exact shorter", 0, 1, {{EXACT, O("ab")}}, 1, {O("abc")}},
    {"exact longer", 0, 1, {{EXACT, O("abcd")}}, 1, {O("abc")}},
    {"exact case", 0, 1, {{EXACT, O("ABC")}}, 1, {O("abc")}},
    /* NUL and octets above 127 are octets like others. */
    {"exact NUL counted on one side", 0, 1, {{EXACT, O("a\0")}}, 1, {O("a")}},
    {"exact NUL counted on the other side", 0, 1, {{EXACT, O("a")}}, 1, {O("a\0")}},
    {"exact NUL inside", 1, 1, {{EXACT, O("a\0b")}}, 1, {O("a\0b")}},
    {"exact differs behind NUL", 0, 1, {{EXACT, O("a\0b")}}, 1, {O("a\0c")}},
    {"prefix differs behind NUL", 0, 1, {{PREFIX, O("a\0b")}}, 1, {O("a\0cd")}},
    {"prefix NUL", 1, 1, {{PREFIX, O("\0")}}, 1, {O("\0a")}},
    {"suffix NUL", 1, 1, {{SUFFIX, O("\0")}}, 1, {O("a\0")}},
    {"suffix differs before NUL", 0, 1, {{SUFFIX, O("b\0")}}, 1, {O("a\0")}},
    {"high octets", 1, 1, {{EXACT, O("\xff\x80")}}, 1, {O("\xff\x80")}},
    {"high octets differ", 0, 1, {{EXACT, O("\xff\x80")}}, 1, {O("\x7f\x80")}},
    /* Empty filters and patterns. */
    {"prefix empty, empty", 1, 1, {{PREFIX, O("")}}, 1, {O("")}},
    {"prefix empty, some", 1, 1, {{PREFIX, O("")}}, 1, {O("a")}},
    {"suffix empty, empty", 1, 1, {{SUFFIX, O("")}}, 1, {O("")}},
    {"suffix empty, some", 1, 1, {{SUFFIX, O("")}}, 1, {O("a")}},
    {"exact empty, empty", 1, 1, {{EXACT, O("")}}, 1, {O("")}},
    {"exact empty, some", 0, 1, {{EXACT, O("")}}, 1, {O("a")}},
    {"prefix, empty", 0, 1, {{PREFIX, O("a")}}, 1, {O("")}},
    {"suffix, empty", 0, 1, {{SUFFIX, O("a")}}, 1, {O("")}},
    {"exact, empty", 0, 1, {{EXACT, O("a")}}, 1, {O("")}},
    {"all, empty", 1, 1, {{ALL, O("a")}}, 1, {O("")}},
    {"all, some", 1, 1, {{ALL, O("")}}, 1, {O("a")}},
    {"empty between", 1, 3, {{EXACT, O("a")}, {EXACT, O("")}, {EXACT, O("c")}}, 3,
     {O("a"), O(""), O("c")}},
};

static SaEvtHandleT library;

static void subscribe_row(SaEvtChannelHandleT channel, const struct row *row,
                          SaEvtSubscriptionIdT id)
{
    SaEvtEventFilterT items[3];
    SaEvtEventFilterArrayT filters;
    size_t index;
    memset(items, 0, sizeof items);
    for (index = 0; index < row->filters_number; index++) {
        items[index].filterType = row->filters[index].type;
        items[index].filter.patternSize = row->filters[index].octets.size;
        items[index].filter.pattern = (SaUint8T *)(uintptr_t)row->filters[index].octets.start;
    }
    filters.filtersNumber = row->filters_number;
    filters.filters = items;
    CHECK_AIS(SA_AIS_OK, saEvtEventSubscribe(channel, &filters, id));
}

static void publish_row(SaEvtChannelHandleT channel, const struct row *row, const char *data)
{
    SaEvtEventPatternT items[3];
    SaEvtEventPatternArrayT patterns;
    SaEvtEventHandleT event = event_new(channel);
    size_t index;
    memset(items, 0, sizeof items);
    for (index = 0; index < row->patterns_number; index++) {
        items[index].patternSize = row->patterns[index].size;
        items[index].pattern = (SaUint8T *)(uintptr_t)row->patterns[index].start;
    }
    patterns.allocatedNumber = 0;
    patterns.patternsNumber = row->patterns_number;
    patterns.patterns = items;
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, &patterns, LOWEST, RETAIN_NS, NULL));
    event_publish(event, data, strlen(data));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* The sentinel, heard by a subscription of its own, shows that the row's event did not come. */
static void check_row(const struct row *row)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT late;
    struct row sentinel = {"sentinel", 1, 0, {{ALL, O("")}}, 1, {O("\x01sentinel\x01")}};
    size_t expected = row->matches ? 1 : 0;
    subscribe_row(channel, row, 1);
    subscribe_filter(channel, 2, EXACT, "\x01sentinel\x01");
    publish_row(channel, row, "row");
    publish_row(channel, &sentinel, "sentinel");
    await_deliveries(library, expected + 1);
    if (log_deliveries() != expected + 1 || strcmp(log_delivery(expected).text, "sentinel") != 0
        || (row->matches && log_delivery(0).subscription != 1))
        fprintf(stderr, "row: %s\n", row->name);
    CHECK_EQ(expected + 1, log_deliveries());
    CHECK(strcmp(log_delivery(expected).text, "sentinel") == 0);
    if (row->matches)
        CHECK(strcmp(log_delivery(0).text, "row") == 0 && log_delivery(0).subscription == 1);
    log_clear();
    /* The same for retained events. */
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    late = channel_open(library, &name, OPEN_BOTH);
    subscribe_row(late, row, 1);
    subscribe_filter(late, 2, EXACT, "\x01sentinel\x01");
    await_deliveries(library, expected + 1);
    if (log_deliveries() != expected + 1)
        fprintf(stderr, "retained row: %s\n", row->name);
    CHECK_EQ(expected + 1, log_deliveries());
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(late));
}

int main(int argc, char **argv)
{
    size_t index;
    test_begin(argc, argv);
    library = library_recording();
    for (index = 0; index < sizeof rows / sizeof rows[0]; index++)
        check_row(&rows[index]);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
