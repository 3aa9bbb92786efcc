/* Names of channels: SAI-AIS-EVT-B.03.01, saEvtChannelOpen(), and the releases before. */
#include "evt_test.h"

static SaEvtHandleT b01;
static SaEvtHandleT b02;
static SaEvtHandleT b03;

static SaAisErrorT opens(SaEvtHandleT library, const SaNameT *name,
                         SaEvtChannelOpenFlagsT flags)
{
    SaEvtChannelHandleT channel = 0;
    SaAisErrorT result;
    REPEAT(result, saEvtChannelOpen(library, name, flags, SA_TIME_MAX, &channel));
    if (result == SA_AIS_OK)
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    return result;
}

/* B.01 creates channels of any name; from B.02 on a new name is a DN that begins safChnl= */
static void free_names_go_by_version(void)
{
    static const char *const names[] = {
        "x", "a channel", "safChnl", "SAFCHNL=x", "safchnl=x", " safChnl=x", "safApp=x",
    };
    size_t index;
    for (index = 0; index < sizeof names / sizeof names[0]; index++) {
        SaNameT name;
        name_text(&name, names[index]);
        CHECK_EQ(SA_AIS_ERR_INVALID_PARAM, opens(b03, &name, OPEN_ALL));
        CHECK_EQ_REC(SA_AIS_ERR_INVALID_PARAM, opens(b02, &name, OPEN_ALL));
        CHECK_EQ_REC(SA_AIS_ERR_NOT_EXIST, opens(b03, &name, OPEN_BOTH));
        CHECK_EQ_REC(SA_AIS_ERR_NOT_EXIST, opens(b02, &name, OPEN_BOTH));
        CHECK_EQ_REC(SA_AIS_ERR_NOT_EXIST, opens(b01, &name, OPEN_BOTH));
        CHECK_EQ_REC(SA_AIS_OK, opens(b01, &name, OPEN_ALL));
        /* What a B.01 program created the others may open. */
        CHECK_EQ_REC(SA_AIS_OK, opens(b02, &name, OPEN_BOTH));
        CHECK_EQ_REC(SA_AIS_OK, opens(b03, &name, OPEN_BOTH));
        CHECK_EQ_REC(SA_AIS_ERR_INVALID_PARAM, opens(b03, &name, OPEN_ALL));
        CHECK_AIS_REC(SA_AIS_OK, saEvtChannelUnlink(b03, &name));
    }
}

static void distinguished_names_are_for_all(void)
{
    static const char *const names[] = {
        "safChnl=", "safChnl=x", "safChnl=x,safApp=y", "safChnl=\xff\x01 ,=", "safChnl=safChnl=",
    };
    SaEvtHandleT libraries[3];
    size_t index;
    size_t creator;
    libraries[0] = b01;
    libraries[1] = b02;
    libraries[2] = b03;
    for (index = 0; index < sizeof names / sizeof names[0]; index++) {
        SaNameT name;
        name_text(&name, names[index]);
        for (creator = 0; creator < 3; creator++) {
            CHECK_EQ(SA_AIS_OK, opens(libraries[creator], &name, OPEN_ALL));
            CHECK_EQ(SA_AIS_OK, opens(libraries[(creator + 1) % 3], &name, OPEN_BOTH));
            CHECK_EQ(SA_AIS_OK, opens(libraries[(creator + 2) % 3], &name, OPEN_ALL));
            CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(b01, &name));
        }
    }
}

/* NUL, case and spaces make names different; octets behind the length do not. */
static void octets_are_compared_as_they_are(void)
{
    static const struct {
        const char *octets;
        size_t length;
    } names[] = {
        {"safChnl=n", 9},    {"safChnl=n\0", 10},   {"safChnl=n\0\0", 11}, {"safChnl=N", 9},
        {"safChnl=n ", 10},  {"safChnl=\0n", 10},   {"safChnl=n\0a", 11}, {"safChnl=n\0b", 11},
    };
    enum { NUMBER = sizeof names / sizeof names[0] };
    SaEvtChannelHandleT channels[NUMBER];
    SaNameT name;
    size_t index;
    for (index = 0; index < NUMBER; index++) {
        name_set(&name, names[index].octets, names[index].length);
        CHECK_EQ(SA_AIS_ERR_NOT_EXIST, opens(b03, &name, OPEN_BOTH));
        channels[index] = channel_open(b03, &name, OPEN_ALL);
        subscribe_all(channels[index], (SaEvtSubscriptionIdT)index);
    }
    for (index = 0; index < NUMBER; index++) {
        publish_text(channels[index], "x", LOWEST, 0);
        await_deliveries(b03, 1);
        CHECK_EQ(1, log_deliveries());
        CHECK_EQ(index, log_delivery(0).subscription);
        log_clear();
    }
    name_set(&name, names[0].octets, names[0].length);
    memset(name.value + 9, 0xee, sizeof name.value - 9);
    CHECK_EQ(SA_AIS_OK, opens(b03, &name, OPEN_BOTH));
    for (index = 0; index < NUMBER; index++) {
        name_set(&name, names[index].octets, names[index].length);
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(b03, &name));
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channels[index]));
    }
}

/* 256 octets leave no room for a NUL; 255 and 256 octets are two names. */
static void the_longest_names_work(void)
{
    char octets[256];
    SaNameT longest;
    SaNameT shorter;
    SaEvtChannelHandleT one;
    SaEvtChannelHandleT two;
    memset(octets, 'x', sizeof octets);
    memcpy(octets, name_fresh_text(), 8);
    name_set(&longest, octets, 256);
    name_set(&shorter, octets, 255);
    one = channel_open(b03, &longest, OPEN_ALL);
    two = channel_open(b03, &shorter, OPEN_ALL);
    subscribe_all(one, 256);
    subscribe_all(two, 255);
    publish_text(one, "long", LOWEST, 0);
    EXPECT_TEXTS_OF(b03, "long:256");
    publish_text(two, "short", LOWEST, 0);
    EXPECT_TEXTS_OF(b03, "short:255");
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(b03, 1, &longest, OPEN_BOTH));
    await_openings(b03, 1);
    CHECK_EQ(SA_AIS_OK, log_opening(0).error);
    log_clear();
    octets[255] = 'y';
    name_set(&longest, octets, 256);
    CHECK_EQ(SA_AIS_ERR_NOT_EXIST, opens(b03, &longest, OPEN_BOTH));
    octets[255] = 'x';
    name_set(&longest, octets, 256);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(b03, &longest));
    CHECK_EQ(SA_AIS_OK, opens(b03, &shorter, OPEN_BOTH));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(b03, &shorter));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    b01 = library_new(1, &recording_callbacks);
    b02 = library_new(2, &recording_callbacks);
    b03 = library_new(3, &recording_callbacks);
    free_names_go_by_version();
    distinguished_names_are_for_all();
    octets_are_compared_as_they_are();
    the_longest_names_work();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(b01));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(b02));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(b03));
    return test_end();
}
