/* saEvtEventUnsubscribe: SAI-AIS-EVT-B.03.01, saEvtEventUnsubscribe(). */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaNameT channel_name;

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(CHANNEL_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventUnsubscribe(wrong[index], 1));
}

static void an_unknown_id_does_not_exist(void)
{
    SaEvtChannelHandleT publisher =
        channel_open(library, &channel_name, SA_EVT_CHANNEL_PUBLISHER);
    SaEvtChannelHandleT other = channel_open(library, &channel_name, OPEN_BOTH);
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventUnsubscribe(publisher, 1));
    subscribe_all(channel, 1);
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventUnsubscribe(channel, 2));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventUnsubscribe(channel, 0));
    CHECK_AIS_REC(SA_AIS_ERR_NOT_EXIST, saEvtEventUnsubscribe(other, 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(publisher));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(other));
}

/* What matches another subscription stays in its place, the rest is purged. */
static void queued_events_are_matched_again(void)
{
    subscribe_all(channel, 1);
    subscribe_filter(channel, 2, SA_EVT_PREFIX_FILTER, "keep");
    subscribe_filter(channel, 3, SA_EVT_EXACT_FILTER, "keep2");
    publish_text(channel, "keep1", LOWEST, 0);
    publish_text(channel, "purged", LOWEST, 0);
    publish_text(channel, "keep2", LOWEST, 0);
    publish_text(channel, "gone", LOWEST, 0);
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    publish_text(channel, "keep3", LOWEST, 0);
    await_deliveries(library, 3);
    CHECK_EQ(2, log_delivery(0).subscription);
    CHECK_EQ_REC(2, log_delivery(1).subscription);
    CHECK_EQ(2, log_delivery(2).subscription);
    EXPECT_TEXTS(library, "keep1,keep2,keep3");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 2));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 3));
}

static void the_last_one_leaves_an_empty_queue(void)
{
    int descriptor = selection_object(library);
    struct pollfd entry;
    subscribe_all(channel, 1);
    publish_text(channel, "purged", LOWEST, 0);
    entry.fd = descriptor;
    entry.events = POLLIN;
    CHECK(poll(&entry, 1, -1) == 1);
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    drain(library);
    CHECK(!readable(descriptor));
    CHECK_EQ(0, log_deliveries());
}

/* The idiom to change filters: subscribe anew, then unsubscribe; nothing lost, nothing twice. */
static void filters_are_changed_without_a_gap(void)
{
    size_t rounds = test_rounds(500, 40);
    size_t round;
    char text[TEXT_MAX];
    SaEvtSubscriptionIdT id = 0;
    subscribe_all(channel, id);
    for (round = 0; round < rounds; round++) {
        snprintf(text, sizeof text, "%lu", (unsigned long)round);
        publish_text(channel, text, LOWEST, 0);
        subscribe_all(channel, id + 1);
        CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, id));
        id++;
        if (round % 7 == 0)
            drain(library);
    }
    await_deliveries(library, rounds);
    CHECK_EQ(rounds, log_deliveries());
    for (round = 0; round < log_deliveries(); round++)
        CHECK_EQ(round, atoi(log_delivery(round).text));
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, id));
}

/* Events queued under an old subscription come out under a new one of that id only on a match. */
static void an_id_may_be_used_again_at_once(void)
{
    subscribe_all(channel, 1);
    subscribe_filter(channel, 2, SA_EVT_EXACT_FILTER, "other");
    publish_text(channel, "other", LOWEST, 0);
    publish_text(channel, "old", LOWEST, 0);
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    subscribe_filter(channel, 1, SA_EVT_EXACT_FILTER, "end");
    publish_text(channel, "old", LOWEST, 0);
    publish_text(channel, "end", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "other:2,end:1");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 2));
}

static void other_instances_are_not_affected(void)
{
    SaEvtChannelHandleT other = channel_open(library, &channel_name, OPEN_BOTH);
    subscribe_all(channel, 1);
    subscribe_all(other, 1);
    publish_text(channel, "a", LOWEST, 0);
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    publish_text(channel, "b", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "a:1,b:1");
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(other));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &channel_name);
    wrong_handles_are_bad();
    an_unknown_id_does_not_exist();
    queued_events_are_matched_again();
    the_last_one_leaves_an_empty_queue();
    filters_are_changed_without_a_gap();
    an_id_may_be_used_again_at_once();
    other_instances_are_not_affected();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
