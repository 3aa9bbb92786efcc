/* saEvtEventSubscribe: SAI-AIS-EVT-B.03.01, saEvtEventSubscribe(). Matching: filters.c */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaNameT channel_name;

static SaEvtEventFilterT filter_of(int type, const void *octets, SaSizeT size)
{
    SaEvtEventFilterT filter;
    memset(&filter, 0, sizeof filter);
    filter.filterType = (SaEvtEventFilterTypeT)type;
    filter.filter.patternSize = size;
    filter.filter.pattern = (SaUint8T *)(uintptr_t)octets;
    return filter;
}

static void invalid_arguments_are_noticed_first(void)
{
    static const int types[] = {0, 5, -1, 0x7fffffff};
    SaEvtEventFilterT filter = filter_of(SA_EVT_PREFIX_FILTER, NULL, 1);
    SaEvtEventFilterArrayT one = {1, &filter};
    SaEvtEventFilterArrayT no_array = {1, NULL};
    size_t index;
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(channel, NULL, 1));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(0, NULL, 1));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(channel, &no_array, 1));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(0, &no_array, 1));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(channel, &one, 1));
    filter.filterType = SA_EVT_SUFFIX_FILTER;
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(channel, &one, 1));
    filter.filterType = SA_EVT_EXACT_FILTER;
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(channel, &one, 1));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(0, &one, 1));
    for (index = 0; index < 4; index++) {
        filter = filter_of(types[index], "x", 1);
        CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventSubscribe(channel, &one, 1));
    }
    /* None of them left a subscription behind. */
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventUnsubscribe(channel, 1));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(CHANNEL_HANDLE, wrong);
    SaEvtEventFilterArrayT none = {0, NULL};
    size_t index;
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventSubscribe(wrong[index], &none, 1));
}

/* First the missing callback, then the missing right, then sizes, then existence. */
static void the_checks_have_an_order(void)
{
    SaEvtCallbacksT callbacks = recording_callbacks;
    size_t beyond = (size_t)limit(library, SA_EVT_MAX_PATTERN_SIZE_ID) + 1;
    char *octets = calloc(1, beyond);
    SaEvtEventFilterT filter = filter_of(SA_EVT_EXACT_FILTER, octets, beyond);
    SaEvtEventFilterArrayT big = {1, &filter};
    SaEvtEventFilterArrayT none = {0, NULL};
    SaEvtHandleT without;
    SaEvtChannelHandleT publisher;
    NEED(octets != NULL);
    callbacks.saEvtEventDeliverCallback = NULL;
    without = library_new(3, &callbacks);
    publisher = channel_open(without, &channel_name, SA_EVT_CHANNEL_PUBLISHER);
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtEventSubscribe(0, &big, 1));
    CHECK_AIS(SA_AIS_ERR_INIT, saEvtEventSubscribe(publisher, &none, 1));
    CHECK_AIS_REC(SA_AIS_ERR_INIT, saEvtEventSubscribe(publisher, &big, 1));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(without));
    publisher = channel_open(library, &channel_name, SA_EVT_CHANNEL_PUBLISHER);
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventSubscribe(publisher, &none, 1));
    CHECK_AIS_REC(SA_AIS_ERR_ACCESS, saEvtEventSubscribe(publisher, &big, 1));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(publisher));
    subscribe_all(channel, 1);
    CHECK_AIS_REC(SA_AIS_ERR_TOO_BIG, saEvtEventSubscribe(channel, &big, 1));
    CHECK_AIS(SA_AIS_ERR_EXIST, saEvtEventSubscribe(channel, &none, 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    without = library_new(1, NULL);
    publisher = channel_open(without, &channel_name, OPEN_BOTH);
    CHECK_AIS(SA_AIS_ERR_INIT, saEvtEventSubscribe(publisher, &none, 1));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(without));
    free(octets);
}

static void an_id_is_unique_within_the_instance(void)
{
    static const SaEvtSubscriptionIdT ids[] = {0, 1, 0x80000000u, 0xffffffffu};
    SaEvtChannelHandleT other = channel_open(library, &channel_name, OPEN_BOTH);
    SaEvtEventFilterArrayT none = {0, NULL};
    size_t index;
    for (index = 0; index < 4; index++) {
        CHECK_AIS(SA_AIS_OK, saEvtEventSubscribe(channel, &none, ids[index]));
        CHECK_AIS(SA_AIS_ERR_EXIST, saEvtEventSubscribe(channel, &none, ids[index]));
        CHECK_AIS_REC(SA_AIS_OK, saEvtEventSubscribe(other, &none, ids[index]));
        CHECK_AIS_REC(SA_AIS_OK, saEvtEventUnsubscribe(other, ids[index]));
        CHECK_AIS(SA_AIS_ERR_EXIST, saEvtEventSubscribe(channel, &none, ids[index]));
        publish_text(channel, "id", LOWEST, 0);
        await_deliveries(library, 1);
        CHECK_EQ(ids[index], log_delivery(0).subscription);
        log_clear();
        CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, ids[index]));
    }
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(other));
}

static void filter_limits_are_exact(void)
{
    size_t number = (size_t)limit(library, SA_EVT_MAX_NUM_PATTERNS_ID);
    size_t size = (size_t)limit(library, SA_EVT_MAX_PATTERN_SIZE_ID);
    char *octets = calloc(1, size + 1);
    SaEvtEventFilterT *items = calloc(number + 1, sizeof *items);
    SaEvtEventFilterArrayT filters = {number + 1, items};
    size_t index;
    NEED(octets != NULL && items != NULL);
    for (index = 0; index <= number; index++)
        items[index] = filter_of(1 + (int)(index % 4), octets, size);
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventSubscribe(channel, &filters, 1));
    filters.filtersNumber = UINT64_MAX;
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventSubscribe(channel, &filters, 1));
    filters.filtersNumber = UINT64_C(0x100000001);
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventSubscribe(channel, &filters, 1));
    filters.filtersNumber = number;
    items[0] = filter_of(SA_EVT_PREFIX_FILTER, octets, size + 1);
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventSubscribe(channel, &filters, 1));
    items[0] = filter_of(SA_EVT_PREFIX_FILTER, octets, UINT64_MAX);
    CHECK_AIS(SA_AIS_ERR_TOO_BIG, saEvtEventSubscribe(channel, &filters, 1));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventUnsubscribe(channel, 1));
    items[0] = filter_of(SA_EVT_PREFIX_FILTER, octets, size);
    CHECK_AIS(SA_AIS_OK, saEvtEventSubscribe(channel, &filters, 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    free(items);
    free(octets);
}

/* The pattern of a filter that passes all is not looked at, wherever it points. */
static void pass_all_ignores_its_pattern(void)
{
    SaEvtEventFilterT filters_three[3];
    SaEvtEventFilterArrayT filters = {3, filters_three};
    filters_three[0] = filter_of(SA_EVT_PASS_ALL_FILTER, NULL, 5);
    filters_three[1] = filter_of(SA_EVT_PASS_ALL_FILTER, (void *)16, 5);
    filters_three[2] = filter_of(SA_EVT_PASS_ALL_FILTER, NULL, 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventSubscribe(channel, &filters, 1));
    publish_text(channel, "passes", LOWEST, 0);
    EXPECT_TEXTS(library, "passes");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
}

static void filters_are_copied(void)
{
    char octets[] = "exact";
    SaEvtEventFilterT filter = filter_of(SA_EVT_EXACT_FILTER, octets, 5);
    SaEvtEventFilterArrayT filters = {1, &filter};
    filter.filter.allocatedSize = UINT64_MAX;
    CHECK_AIS(SA_AIS_OK, saEvtEventSubscribe(channel, &filters, 1));
    memset(octets, 'X', 5);
    memset(&filter, 0xff, sizeof filter);
    filters.filtersNumber = 0;
    publish_text(channel, "XXXXX", LOWEST, 0);
    publish_text(channel, "exact", LOWEST, 0);
    EXPECT_TEXTS(library, "exact");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
}

/* In force from the return on, whoever publishes. */
static void it_is_in_force_on_return(void)
{
    SaEvtHandleT other = library_new(1, NULL);
    SaEvtChannelHandleT publisher = channel_open(other, &channel_name, OPEN_BOTH);
    size_t round;
    for (round = 0; round < test_rounds(500, 30); round++) {
        subscribe_all(channel, 1);
        publish_text(publisher, "seen", LOWEST, 0);
        EXPECT_TEXTS(library, "seen");
        CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(other));
}

static void matching_subscriptions_bring_an_event_once(void)
{
    subscribe_filter(channel, 5, SA_EVT_PREFIX_FILTER, "a");
    subscribe_all(channel, 3);
    subscribe_filter(channel, 4, SA_EVT_EXACT_FILTER, "ab");
    publish_text(channel, "ab", LOWEST, 0);
    publish_text(channel, "x", LOWEST, 0);
    await_deliveries(library, 2);
    CHECK_EQ_REC(5, log_delivery(0).subscription); /* the one registered first */
    CHECK_EQ(3, log_delivery(1).subscription);
    EXPECT_TEXTS(library, "ab,x");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 5));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 3));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 4));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &channel_name);
    invalid_arguments_are_noticed_first();
    wrong_handles_are_bad();
    the_checks_have_an_order();
    an_id_is_unique_within_the_instance();
    filter_limits_are_exact();
    pass_all_ignores_its_pattern();
    filters_are_copied();
    it_is_in_force_on_return();
    matching_subscriptions_bring_an_event_once();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
