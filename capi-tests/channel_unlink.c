/* saEvtChannelUnlink: SAI-AIS-EVT-B.03.01, saEvtChannelUnlink(). The life of channels: unlink.c */
#include "evt_test.h"

static SaEvtHandleT library;

static void arguments_are_judged_first(void)
{
    static const SaUint16T lengths[] = {0, 257, 0xcd2b, 0xffff};
    SaNameT name;
    size_t index;
    name_fresh(&name);
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtChannelUnlink(library, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtChannelUnlink(0, NULL));
    for (index = 0; index < 4; index++) {
        name.length = lengths[index];
        CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtChannelUnlink(library, &name));
        CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtChannelUnlink(0, &name));
    }
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(LIBRARY_HANDLE, wrong);
    size_t index;
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtChannelUnlink(wrong[index], &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
}

static void a_missing_name_does_not_exist(void)
{
    char octets[256];
    SaNameT name;
    name_fresh(&name);
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtChannelUnlink(library, &name));
    memset(octets, 'x', sizeof octets);
    memcpy(octets, "safChnl=", 8);
    name_set(&name, octets, sizeof octets);
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtChannelUnlink(library, &name));
    name_text(&name, "not a distinguished name");
    CHECK_AIS_REC(SA_AIS_ERR_NOT_EXIST, saEvtChannelUnlink(library, &name));
}

static void the_second_unlink_finds_nothing(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT again = 0;
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST,
              saEvtChannelOpen(library, &name, OPEN_BOTH, SA_TIME_MAX, &again));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtChannelUnlink(library, &name));
}

/* Neither the creator nor somebody who has it open; and versions do not matter. */
static void anybody_may_do_it(void)
{
    SaNameT name;
    SaEvtHandleT stranger = library_new(1, NULL);
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(stranger, &name));
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(stranger));
}

struct racer {
    const SaNameT *name;
    pthread_barrier_t *barrier;
    SaAisErrorT result;
};

static void *unlink_at_once(void *argument)
{
    struct racer *racer = argument;
    SaEvtHandleT own = library_new(3, NULL);
    pthread_barrier_wait(racer->barrier);
    REPEAT(racer->result, saEvtChannelUnlink(own, racer->name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
    return NULL;
}

static void of_racing_unlinks_one_succeeds(void)
{
    enum { RACERS = 4 };
    size_t round;
    for (round = 0; round < test_rounds(50, 5); round++) {
        struct racer racers[RACERS];
        pthread_t threads[RACERS];
        pthread_barrier_t barrier;
        SaNameT name;
        SaEvtChannelHandleT channel = channel_fresh(library, &name);
        size_t done = 0;
        size_t index;
        NEED(pthread_barrier_init(&barrier, NULL, RACERS) == 0);
        for (index = 0; index < RACERS; index++) {
            racers[index].name = &name;
            racers[index].barrier = &barrier;
            NEED(pthread_create(&threads[index], NULL, unlink_at_once, &racers[index]) == 0);
        }
        for (index = 0; index < RACERS; index++) {
            SaAisErrorT result;
            pthread_join(threads[index], NULL);
            result = racers[index].result;
            CHECK(result == SA_AIS_OK || result == SA_AIS_ERR_NOT_EXIST);
            done += result == SA_AIS_OK;
        }
        CHECK_EQ(1, done);
        pthread_barrier_destroy(&barrier);
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    }
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    arguments_are_judged_first();
    wrong_handles_are_bad();
    a_missing_name_does_not_exist();
    the_second_unlink_finds_nothing();
    anybody_may_do_it();
    of_racing_unlinks_one_succeeds();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
