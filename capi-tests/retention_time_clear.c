/* saEvtEventRetentionTimeClear: SAI-AIS-EVT-B.03.01, saEvtEventRetentionTimeClear(). */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaNameT channel_name;

static void reserved_ids_are_invalid(void)
{
    static const SaEvtEventIdT ids[] = {0, 1, 2, 999, 1000};
    size_t index;
    for (index = 0; index < 5; index++) {
        CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventRetentionTimeClear(channel, ids[index]));
        CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventRetentionTimeClear(0, ids[index]));
    }
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(CHANNEL_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventRetentionTimeClear(wrong[index], 5000));
}

static void what_is_not_retained_does_not_exist(void)
{
    SaEvtEventIdT id = publish_text(channel, "not retained", LOWEST, 0);
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventRetentionTimeClear(channel, id));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventRetentionTimeClear(channel, 1001));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventRetentionTimeClear(channel, UINT64_MAX));
    id = publish_text(channel, "cleared", LOWEST, RETAIN_NS);
    CHECK_AIS(SA_AIS_OK, saEvtEventRetentionTimeClear(channel, id));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtEventRetentionTimeClear(channel, id));
}

static void an_expired_event_does_not_exist(void)
{
    SaEvtEventIdT id = publish_text(channel, "short", LOWEST, SA_TIME_ONE_MILLISECOND);
    SaAisErrorT result;
    do {
        struct timespec longer = {0, 50000000};
        nanosleep(&longer, NULL);
        REPEAT(result, saEvtEventRetentionTimeClear(channel, id));
        CHECK(result == SA_AIS_ERR_NOT_EXIST || result == SA_AIS_OK);
    } while (result != SA_AIS_ERR_NOT_EXIST);
}

/* The order of publish and clear must hold, however quick the second follows. */
static void clear_finds_what_was_just_published(void)
{
    size_t round;
    for (round = 0; round < test_rounds(1000, 50); round++) {
        SaEvtEventIdT id = publish_text(channel, "x", (SaEvtEventPriorityT)(round % 4),
                                        RETAIN_NS);
        CHECK_AIS(SA_AIS_OK, saEvtEventRetentionTimeClear(channel, id));
    }
    subscribe_all(channel, 1);
    publish_text(channel, "sentinel", LOWEST, 0);
    EXPECT_TEXTS(library, "sentinel");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
}

/* Any instance of the channel, whatever its flags and whoever published; no other channel. */
static void any_instance_of_the_channel_may_clear(void)
{
    SaEvtHandleT other = library_new(1, NULL);
    SaEvtChannelHandleT stranger = channel_open(other, &channel_name, SA_EVT_CHANNEL_CREATE);
    SaNameT name;
    SaEvtChannelHandleT elsewhere = channel_fresh(library, &name);
    SaEvtEventIdT id = publish_text(channel, "mine", LOWEST, RETAIN_NS);
    settle(library);
    CHECK_AIS_REC(SA_AIS_ERR_NOT_EXIST, saEvtEventRetentionTimeClear(elsewhere, id));
    CHECK_AIS_REC(SA_AIS_OK, saEvtEventRetentionTimeClear(stranger, id));
    CHECK_AIS_REC(SA_AIS_ERR_NOT_EXIST, saEvtEventRetentionTimeClear(channel, id));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(other));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(elsewhere));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void queued_deliveries_are_not_recalled(void)
{
    SaEvtEventIdT id;
    SaEvtChannelHandleT late;
    subscribe_all(channel, 1);
    id = publish_text(channel, "queued", LOWEST, RETAIN_NS);
    CHECK_AIS(SA_AIS_OK, saEvtEventRetentionTimeClear(channel, id));
    EXPECT_TEXTS(library, "queued");
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
    late = channel_open(library, &channel_name, OPEN_BOTH);
    subscribe_all(late, 2);
    publish_text(channel, "sentinel", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "sentinel:2");
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(late));
}

static void a_receiver_may_clear_by_the_id_it_got(void)
{
    subscribe_all(channel, 1);
    publish_text(channel, "x", LOWEST, RETAIN_NS);
    await_deliveries(library, 1);
    CHECK_AIS(SA_AIS_OK, saEvtEventRetentionTimeClear(channel, log_delivery(0).id));
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtEventUnsubscribe(channel, 1));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &channel_name);
    reserved_ids_are_invalid();
    wrong_handles_are_bad();
    what_is_not_retained_does_not_exist();
    an_expired_event_does_not_exist();
    clear_finds_what_was_just_published();
    any_instance_of_the_channel_may_clear();
    queued_deliveries_are_not_recalled();
    a_receiver_may_clear_by_the_id_it_got();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
