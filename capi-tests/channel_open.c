/* saEvtChannelOpen: SAI-AIS-EVT-B.03.01, saEvtChannelOpen(). */
#include "evt_test.h"

#define NO_HANDLE 987654321u

static SaEvtHandleT library;

static SaAisErrorT try_open(SaEvtHandleT handle, const SaNameT *name,
                            SaEvtChannelOpenFlagsT flags, SaTimeT timeout)
{
    SaEvtChannelHandleT channel = NO_HANDLE;
    SaAisErrorT result = saEvtChannelOpen(handle, name, flags, timeout, &channel);
    if (result == SA_AIS_OK)
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    else
        CHECK_EQ(NO_HANDLE, channel);
    return result;
}

static void null_pointers_are_noticed_first(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = NO_HANDLE;
    name_fresh(&name);
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
              saEvtChannelOpen(library, NULL, OPEN_ALL, SA_TIME_MAX, &channel));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
              saEvtChannelOpen(library, &name, OPEN_ALL, SA_TIME_MAX, NULL));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
              saEvtChannelOpen(library, NULL, OPEN_ALL, SA_TIME_MAX, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtChannelOpen(0, NULL, 0, 0, &channel));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtChannelOpen(0, &name, 0, 0, NULL));
    CHECK_EQ(NO_HANDLE, channel);
}

static void name_lengths_out_of_range_are_invalid(void)
{
    static const SaUint16T lengths[] = {257, 258, 1000, 0x7fff, 0x8000, 0xcd2b, 0xffff};
    SaNameT name;
    size_t index;
    name_fresh(&name);
    for (index = 0; index < sizeof lengths / sizeof lengths[0]; index++) {
        name.length = lengths[index];
        CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, try_open(library, &name, OPEN_ALL, SA_TIME_MAX));
        CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, try_open(library, &name, OPEN_BOTH, SA_TIME_MAX));
    }
    name.length = 0;
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, try_open(library, &name, OPEN_ALL, SA_TIME_MAX));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, try_open(0, &name, 0, 0));
}

static void flags_out_of_range_are_bad(void)
{
    static const int flags[] = {0, 8, 0x10, 0x80, 0xff, 8 | OPEN_ALL, 0x40 | OPEN_BOTH};
    SaNameT name;
    size_t index;
    name_fresh(&name);
    for (index = 0; index < sizeof flags / sizeof flags[0]; index++) {
        SaEvtChannelOpenFlagsT value = (SaEvtChannelOpenFlagsT)flags[index];
        CHECK_AIS_REC(SA_AIS_ERR_BAD_FLAGS, try_open(library, &name, value, SA_TIME_MAX));
        CHECK_AIS_REC(SA_AIS_ERR_BAD_FLAGS, try_open(0, &name, value, 0));
    }
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, try_open(library, &name, OPEN_BOTH, SA_TIME_MAX));
}

static void every_combination_of_flags_opens(void)
{
    SaNameT name;
    SaEvtChannelOpenFlagsT flags;
    for (flags = 1; flags <= 7; flags++) {
        name_fresh(&name);
        if ((flags & SA_EVT_CHANNEL_CREATE) == 0) {
            CHECK_AIS(SA_AIS_ERR_NOT_EXIST, try_open(library, &name, flags, SA_TIME_MAX));
            CHECK_AIS(SA_AIS_OK, try_open(library, &name, OPEN_ALL, SA_TIME_MAX));
        }
        CHECK_AIS(SA_AIS_OK, try_open(library, &name, flags, SA_TIME_MAX));
        CHECK_AIS(SA_AIS_OK, try_open(library, &name, flags, SA_TIME_MAX));
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    }
}

/* CREATE alone creates and opens, and gives no rights. */
static void create_alone_gives_no_rights(void)
{
    SaNameT name;
    SaEvtEventFilterArrayT filters = {0, NULL};
    SaEvtChannelHandleT channel;
    SaEvtEventHandleT event = NO_HANDLE;
    name_fresh(&name);
    channel = channel_open(library, &name, SA_EVT_CHANNEL_CREATE);
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventAllocate(channel, &event));
    CHECK_EQ(NO_HANDLE, event);
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventSubscribe(channel, &filters, 1));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(LIBRARY_HANDLE, wrong);
    size_t index;
    SaNameT name;
    name_fresh(&name);
    for (index = 0; index < number; index++) {
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, try_open(wrong[index], &name, OPEN_ALL, SA_TIME_MAX));
        CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, try_open(wrong[index], &name, OPEN_ALL, 0));
    }
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, try_open(library, &name, OPEN_BOTH, SA_TIME_MAX));
}

static void a_timeout_of_zero_or_less_has_no_effect(void)
{
    static const SaTimeT timeouts[] = {0, -1, -SA_TIME_ONE_HOUR, SA_TIME_UNKNOWN};
    SaNameT name;
    size_t index;
    name_fresh(&name);
    for (index = 0; index < sizeof timeouts / sizeof timeouts[0]; index++) {
        CHECK_AIS_REC(SA_AIS_ERR_TIMEOUT, try_open(library, &name, OPEN_ALL, timeouts[index]));
        CHECK_AIS_REC(SA_AIS_ERR_NOT_EXIST, try_open(library, &name, OPEN_BOTH, SA_TIME_MAX));
        CHECK_AIS_REC(SA_AIS_ERR_TIMEOUT, try_open(library, &name, OPEN_BOTH, timeouts[index]));
    }
}

static void other_timeouts_are_tried(void)
{
    static const SaTimeT timeouts[] = {
        1, SA_TIME_ONE_MICROSECOND, SA_TIME_ONE_MILLISECOND,
    };
    static const SaTimeT long_timeouts[] = {
        60 * SA_TIME_ONE_SECOND,
        SA_TIME_ONE_DAY,
        INT64_C(4294967296) * 1000000,      /* 2^32 ms */
        INT64_C(4294967296) * 1000000000,   /* 2^32 s */
        INT64_C(2147483648) * 1000000,      /* 2^31 ms */
        SA_TIME_MAX - 1,
        SA_TIME_MAX,
    };
    SaNameT name;
    SaAisErrorT result;
    size_t index;
    name_fresh(&name);
    for (index = 0; index < sizeof timeouts / sizeof timeouts[0]; index++) {
        REPEAT(result, try_open(library, &name, OPEN_ALL, timeouts[index]));
        CHECK(result == SA_AIS_OK || result == SA_AIS_ERR_TIMEOUT);
    }
    for (index = 0; index < sizeof long_timeouts / sizeof long_timeouts[0]; index++)
        CHECK_AIS(SA_AIS_OK, try_open(library, &name, OPEN_ALL, long_timeouts[index]));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void open_with_create_opens_what_is_there(void)
{
    SaNameT name;
    SaEvtChannelHandleT first = channel_fresh(library, &name);
    SaEvtChannelHandleT second = channel_open(library, &name, OPEN_ALL);
    CHECK(first != second);
    subscribe_all(second, 2);
    publish_text(first, "same", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "same:2");
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(first));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(second));
    CHECK_AIS(SA_AIS_OK, try_open(library, &name, OPEN_BOTH, SA_TIME_MAX));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, try_open(library, &name, OPEN_BOTH, SA_TIME_MAX));
}

/* An instance that sees its own events too, and two that share a subscription id. */
static void each_open_is_an_instance_of_its_own(void)
{
    SaNameT name;
    SaEvtHandleT other = library_recording();
    SaEvtChannelHandleT first = channel_fresh(library, &name);
    SaEvtChannelHandleT second = channel_open(library, &name, SA_EVT_CHANNEL_SUBSCRIBER);
    SaEvtChannelHandleT third = channel_open(other, &name, SA_EVT_CHANNEL_SUBSCRIBER);
    SaEvtEventHandleT event = NO_HANDLE;
    subscribe_all(first, 1);
    subscribe_all(second, 1);
    subscribe_all(third, 1);
    publish_text(first, "x", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "x:1,x:1");
    EXPECT_TEXTS_OF(other, "x:1");
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventAllocate(second, &event));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(first));
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventAllocate(second, &event));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(other));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(second));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    null_pointers_are_noticed_first();
    name_lengths_out_of_range_are_invalid();
    flags_out_of_range_are_bad();
    every_combination_of_flags_opens();
    create_alone_gives_no_rights();
    wrong_handles_are_bad();
    a_timeout_of_zero_or_less_has_no_effect();
    other_timeouts_are_tried();
    open_with_create_opens_what_is_there();
    each_open_is_an_instance_of_its_own();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
