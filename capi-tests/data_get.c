/* saEvtEventDataGet: SAI-AIS-EVT-B.03.01, saEvtEventDataGet(). */
#include "evt_test.h"

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;

static SaEvtEventHandleT receive(const void *data, size_t size)
{
    SaEvtEventHandleT event = event_new(channel);
    SaEvtEventHandleT received;
    event_publish(event, data, size);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    log_keep_events = 1;
    await_deliveries(library, 1);
    log_keep_events = 0;
    CHECK_EQ(data == NULL ? 0 : size, log_delivery(0).size);
    received = log_delivery(0).event;
    log_clear();
    return received;
}

static void a_null_size_is_noticed_first(void)
{
    SaEvtEventHandleT event = receive("data", 4);
    char room[4];
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventDataGet(event, room, NULL));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventDataGet(event, NULL, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtEventDataGet(0, room, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(EVENT_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++) {
        char room[8] = "before";
        SaSizeT size = sizeof room;
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(wrong[index], room, &size));
        CHECK_EQ(sizeof room, size);
        CHECK(strcmp(room, "before") == 0);
    }
}

static void an_allocated_event_has_no_data(void)
{
    SaEvtEventHandleT event = event_new(channel);
    char room[8] = "before";
    SaSizeT size = sizeof room;
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, room, &size));
    event_publish(event, "data", 4);
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, room, &size));
    CHECK_EQ(sizeof room, size);
    CHECK(strcmp(room, "before") == 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    await_deliveries(library, 1);
    log_clear();
}

static void the_data_are_copied_any_number_of_times(void)
{
    SaEvtEventHandleT event = receive("da\0ta", 5);
    size_t round;
    for (round = 0; round < 3; round++) {
        char room[8] = "zzzzzzz";
        SaSizeT size = sizeof room;
        CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &size));
        CHECK_EQ(5, size);
        CHECK(memcmp(room, "da\0tazz", 8) == 0);
        size = 5;
        CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &size));
        CHECK_EQ(5, size);
    }
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void a_small_buffer_gets_nothing_but_the_size(void)
{
    SaEvtEventHandleT event = receive("12345", 5);
    static const SaSizeT sizes[] = {0, 1, 4};
    size_t index;
    for (index = 0; index < 3; index++) {
        char room[8] = "zzzzzzz";
        SaSizeT size = sizes[index];
        CHECK_AIS(SA_AIS_ERR_NO_SPACE, saEvtEventDataGet(event, room, &size));
        CHECK_EQ(5, size);
        CHECK(strcmp(room, "zzzzzzz") == 0);
    }
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void without_a_buffer_the_size_is_told(void)
{
    SaEvtEventHandleT event = receive("12345", 5);
    SaEvtEventHandleT empty = receive(NULL, 0);
    SaSizeT size = 0;
    CHECK_AIS_REC(SA_AIS_OK, saEvtEventDataGet(event, NULL, &size));
    CHECK_EQ_REC(5, size);
    size = 65536;
    CHECK_AIS_REC(SA_AIS_OK, saEvtEventDataGet(event, NULL, &size));
    CHECK_EQ_REC(5, size);
    CHECK_AIS_REC(SA_AIS_OK, saEvtEventDataGet(empty, NULL, &size));
    CHECK_EQ_REC(0, size);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(empty));
}

static void an_event_without_data_needs_no_room(void)
{
    static const SaSizeT sizes[] = {0, 3, UINT64_MAX};
    SaEvtEventHandleT event = receive("", 0);
    size_t index;
    for (index = 0; index < 3; index++) {
        char room[4] = "zzz";
        SaSizeT size = sizes[index];
        CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &size));
        CHECK_EQ(0, size);
        CHECK(strcmp(room, "zzz") == 0);
    }
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* Every size around powers of two, and the largest, with a pattern that shows shifted octets. */
static void all_sizes_arrive_unchanged(void)
{
    size_t most = (size_t)limit(library, SA_EVT_MAX_EVT_SIZE_ID);
    unsigned char *data = malloc(most);
    unsigned char *room = malloc(most);
    size_t size;
    size_t index;
    NEED(data != NULL && room != NULL);
    for (index = 0; index < most; index++)
        data[index] = (unsigned char)(index * 31 + index / 251);
    for (size = 1; size <= most; size = size * 2 > most && size < most ? most : size * 2) {
        int step;
        for (step = -1; step <= 1; step++) {
            size_t length = (size_t)((long)size + step);
            SaSizeT given = most;
            SaEvtEventHandleT event;
            if (length > most || length == 0)
                continue;
            event = receive(data, length);
            memset(room, 0, most);
            CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &given));
            CHECK_EQ(length, given);
            CHECK(memcmp(room, data, length) == 0);
            CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
        }
    }
    free(data);
    free(room);
}

int main(int argc, char **argv)
{
    SaNameT name;
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    a_null_size_is_noticed_first();
    wrong_handles_are_bad();
    an_allocated_event_has_no_data();
    the_data_are_copied_any_number_of_times();
    a_small_buffer_gets_nothing_but_the_size();
    without_a_buffer_the_size_is_told();
    an_event_without_data_needs_no_room();
    all_sizes_arrive_unchanged();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
