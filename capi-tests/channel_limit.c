/* The number of channels: SAI-AIS-EVT-B.03.01, saEvtLimitGet(), saEvtChannelOpen(). */
#include "evt_test.h"

static SaEvtHandleT library;
static char prefix[TEXT_MAX];

static void numbered(SaNameT *name, size_t number)
{
    char text[2 * TEXT_MAX];
    snprintf(text, sizeof text, "%s.n%lu", prefix, (unsigned long)number);
    name_text(name, text);
}

static SaAisErrorT open_numbered(size_t number, SaEvtChannelHandleT *channel)
{
    SaNameT name;
    SaAisErrorT result;
    numbered(&name, number);
    REPEAT(result, saEvtChannelOpen(library, &name, OPEN_ALL, SA_TIME_MAX, channel));
    return result;
}

static SaAisErrorT unlink_numbered(size_t number)
{
    SaNameT name;
    SaAisErrorT result;
    numbered(&name, number);
    REPEAT(result, saEvtChannelUnlink(library, &name));
    return result;
}

static void check_all_are_refused(size_t most)
{
    SaNameT name;
    SaEvtChannelHandleT channel = 5;
    CHECK_EQ(SA_AIS_ERR_NO_RESOURCES, open_numbered(most, &channel));
    CHECK_EQ(5, channel);
    numbered(&name, most);
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(library, 9, &name, OPEN_ALL));
    await_openings(library, 1);
    CHECK_EQ(SA_AIS_ERR_NO_RESOURCES, log_opening(0).error);
    CHECK_EQ(9, log_opening(0).invocation);
    log_clear();
    /* What is there can still be opened. */
    CHECK_EQ(SA_AIS_OK, open_numbered(0, &channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
}

static void the_limit_counts_linked_and_unlinked_channels(size_t most)
{
    SaEvtChannelHandleT *channels = calloc(most, sizeof *channels);
    SaEvtChannelHandleT again = 0;
    size_t index;
    NEED(channels != NULL);
    for (index = 0; index < most; index++) {
        SaAisErrorT result = open_numbered(index, &channels[index]);
        CHECK_EQ(SA_AIS_OK, result);
        NEED(result == SA_AIS_OK);
    }
    check_all_are_refused(most);
    /* Closed, but linked: still counts. */
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channels[most - 1]));
    CHECK_EQ(SA_AIS_ERR_NO_RESOURCES, open_numbered(most, &again));
    /* Unlinked while open: still counts; deleted with its last instance. */
    CHECK_EQ(SA_AIS_OK, unlink_numbered(1));
    CHECK_EQ(SA_AIS_ERR_NO_RESOURCES, open_numbered(1, &again));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channels[1]));
    CHECK_EQ(SA_AIS_OK, open_numbered(1, &channels[1]));
    CHECK_EQ(SA_AIS_ERR_NO_RESOURCES, open_numbered(most, &again));
    /* Unlinked and not open: deleted at once. */
    CHECK_EQ(SA_AIS_OK, unlink_numbered(most - 1));
    CHECK_EQ(SA_AIS_OK, open_numbered(most - 1, &channels[most - 1]));
    for (index = 0; index < most; index++)
        CHECK_EQ(SA_AIS_OK, unlink_numbered(index));
    CHECK_EQ(SA_AIS_ERR_NO_RESOURCES, open_numbered(0, &again));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    free(channels);
}

/* Finalize is closed to the service when it returns, or soon after. */
static void finalize_gives_the_unlinked_channels_back(size_t most)
{
    SaEvtChannelHandleT channel = 0;
    SaAisErrorT result;
    size_t index;
    library = library_recording();
    for (index = 0; index < most; index++) {
        while ((result = open_numbered(index, &channel)) == SA_AIS_ERR_NO_RESOURCES)
            test_pause();
        CHECK_EQ(SA_AIS_OK, result);
        CHECK_EQ(SA_AIS_OK, unlink_numbered(index));
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

int main(int argc, char **argv)
{
    SaUint64T most;
    test_begin(argc, argv);
    snprintf(prefix, sizeof prefix, "%s", name_fresh_text());
    library = library_recording();
    most = limit(library, SA_EVT_MAX_NUM_CHANNELS_ID);
    CHECK(most >= 1024);
    if (most >= 5000) {
        test_skip("the limit of channels is 5000 or more, too many to create them all");
        return test_end();
    }
    the_limit_counts_linked_and_unlinked_channels((size_t)most);
    finalize_gives_the_unlinked_channels_back((size_t)most);
    return test_end();
}
