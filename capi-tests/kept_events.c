/* Received events keep their content as long as the program has them: SAI-AIS-EVT-B.03.01,
 * SaEvtEventDeliverCallbackT, saEvtEventDataGet(), saEvtEventFree(). */
#include "evt_test.h"
#include <sched.h>

#define MOST 65536
#define DISPATCHERS 4

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static unsigned char wanted[MOST];
static unsigned char room[MOST];

/* The event of a number: its octets differ from those of the others nearly everywhere. */
static void fill(unsigned char *octets, size_t number, size_t size)
{
    uint32_t state = (uint32_t)(number * 2654435761u + size);
    size_t index;
    for (index = 0; index < size; index++) {
        state = state * 1664525u + 1013904223u;
        octets[index] = (unsigned char)(state >> 24);
    }
}

static void publish_number(size_t number, size_t size)
{
    char text[TEXT_MAX];
    SaEvtEventHandleT event;
    snprintf(text, sizeof text, "%lu %lu", (unsigned long)number, (unsigned long)size);
    event = event_with(channel, text, (SaEvtEventPriorityT)(number % 4), 0);
    fill(wanted, number, size);
    event_publish(event, wanted, size);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

/* Checks the attributes of a received event and gives its number and size. */
static void check_attributes(SaEvtEventHandleT event, size_t *number, size_t *size)
{
    char text[TEXT_MAX];
    unsigned long found[2] = {0, 0};
    SaEvtEventPatternT pattern = {sizeof text - 1, 0, (SaUint8T *)text};
    SaEvtEventPatternArrayT patterns = {1, 0, &pattern};
    SaEvtEventPriorityT priority = 9;
    SaEvtEventIdT id = 0;
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, &patterns, &priority, NULL, NULL, NULL, &id));
    CHECK_EQ(1, patterns.patternsNumber);
    NEED(pattern.patternSize < sizeof text);
    text[pattern.patternSize] = 0;
    CHECK(sscanf(text, "%lu %lu", &found[0], &found[1]) == 2);
    CHECK_EQ(found[0] % 4, priority);
    CHECK(id > SA_EVT_EVENTID_LOST);
    *number = found[0];
    *size = found[1];
}

/* Checks all of a received event; the buffers are the caller's, since callbacks have threads. */
static size_t check_event(SaEvtEventHandleT event, unsigned char *got, unsigned char *right)
{
    size_t number;
    size_t size;
    SaSizeT given = MOST;
    check_attributes(event, &number, &size);
    NEED(size <= MOST);
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, got, &given));
    CHECK_EQ(size, given);
    fill(right, number, size);
    CHECK(memcmp(got, right, size) == 0);
    return number;
}

/* ---- One callback after the other ----------------------------------------------------- */

static void (*in_callback)(SaEvtEventHandleT event, SaSizeT size);
static size_t called;
static SaEvtEventHandleT *kept;

static void deliver(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    (void)subscription;
    called++;
    in_callback(event, size);
}

static void begin(void (*callback)(SaEvtEventHandleT, SaSizeT))
{
    static const SaEvtCallbacksT callbacks = {NULL, deliver};
    SaNameT name;
    library = library_new(3, &callbacks);
    channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    in_callback = callback;
    called = 0;
}

static void await(size_t number)
{
    struct pollfd entry;
    entry.fd = selection_object(library);
    entry.events = POLLIN;
    while (called < number) {
        if (poll(&entry, 1, -1) > 0)
            NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
    }
}

static void check_and_free(SaEvtEventHandleT event, SaSizeT size)
{
    (void)size;
    check_event(event, room, wanted);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
}

static void keep(SaEvtEventHandleT event, SaSizeT size)
{
    (void)size;
    kept[called - 1] = event;
}

/* Fills the memory between library and service more than once. */
static void wash(void)
{
    void (*callback)(SaEvtEventHandleT, SaSizeT) = in_callback;
    size_t before = called;
    size_t index;
    in_callback = check_and_free;
    for (index = 1; index <= 160; index++) {
        publish_number(1000 + index, MOST - 8 * index);
        await(before + index);
    }
    in_callback = callback;
    called = before;
}

static void read_in_parts(SaEvtEventHandleT event, SaSizeT size)
{
    SaSizeT given = 0;
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, NULL, &given));
    CHECK_EQ(size, given);
    given = size - 1;
    room[0] = room[size] = 'z';
    CHECK_AIS(SA_AIS_ERR_NO_SPACE, saEvtEventDataGet(event, room, &given));
    CHECK_EQ(size, given);
    CHECK_EQ('z', room[0]);
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &given));
    CHECK_EQ(size, given);
    CHECK_EQ('z', room[size]);
    CHECK_EQ(5, check_event(event, room, wanted));
    publish_number(6, 300);
    settle(library);
    CHECK_EQ(5, check_event(event, room, wanted));
    subscribe_all(channel, 2);
    CHECK_EQ(5, check_event(event, room, wanted));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, room, &given));
    in_callback = check_and_free;
}

static void an_event_is_read_in_its_callback(void)
{
    begin(read_in_parts);
    publish_number(5, 1000);
    await(2);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void a_kept_event_is_read_and_published_afterwards(void)
{
    SaEvtEventHandleT events[3];
    size_t index;
    kept = events;
    begin(keep);
    /* Events that are freed at once come before those that are kept, and after. */
    wash();
    for (index = 0; index < 3; index++)
        publish_number(10 + index, 20 + 20000 * index);
    await(3);
    wash();
    for (index = 0; index < 3; index++) {
        size_t number = check_event(events[index], room, wanted);
        size_t size = 20 + 20000 * (number - 10);
        CHECK(number >= 10 && number <= 12);
        in_callback = check_and_free;
        fill(wanted, number, size);
        event_publish(events[index], wanted, size);
        await(4 + index);
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(events[index]));
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void nest(SaEvtEventHandleT event, SaSizeT size)
{
    size_t before = called;
    (void)size;
    if (called < 4) {
        while (called == before)
            NEED_OK(saEvtDispatch(library, SA_DISPATCH_ONE));
    }
    check_and_free(event, size);
}

static void an_outer_event_is_read_after_a_nested_dispatch(void)
{
    size_t index;
    begin(nest);
    for (index = 0; index < 8; index++)
        publish_number(20 + index, 500 * index);
    settle(library);
    await(8);
    wash();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void *free_elsewhere(void *event)
{
    size_t number = check_event(*(SaEvtEventHandleT *)event, room, wanted);
    CHECK_EQ(number, called + 29);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(*(SaEvtEventHandleT *)event));
    return NULL;
}

static void hand_over(SaEvtEventHandleT event, SaSizeT size)
{
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, free_elsewhere, &event) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, room, &size));
}

static void another_thread_frees_it_in_the_callback(void)
{
    size_t index;
    begin(hand_over);
    for (index = 0; index < 40; index++) {
        publish_number(30 + index, 60000);
        await(index + 1);
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

/* What only a callback has seen is an event like any other, until it is freed. */
static void publish_then_free(SaEvtEventHandleT event, SaSizeT size)
{
    SaEvtEventIdT id = 0;
    SaSizeT given = MOST;
    CHECK_AIS(SA_AIS_OK, saEvtEventPublish(event, wanted, size, &id));
    CHECK(id > SA_EVT_EVENTID_LOST);
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(event, room, &given));
    CHECK(given == size && memcmp(room, wanted, size) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    in_callback = check_and_free;
}

static void free_then_publish(SaEvtEventHandleT event, SaSizeT size)
{
    SaEvtEventIdT id = 0;
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventPublish(event, wanted, size, &id));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, room, &size));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE,
              saEvtEventAttributesGet(event, NULL, NULL, NULL, NULL, NULL, &id));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
}

static void it_is_published_in_its_callback_and_gone_when_it_is_freed(void)
{
    begin(publish_then_free);
    publish_number(7, 5000);
    await(2);
    in_callback = free_then_publish;
    publish_number(7, 5000);
    await(3);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void close_then_read(SaEvtEventHandleT event, SaSizeT size)
{
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, room, &size));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
}

static void finalize_then_read(SaEvtEventHandleT event, SaSizeT size)
{
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(event, room, &size));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
}

static void its_channel_and_its_library_may_end_in_the_callback(void)
{
    SaNameT name;
    begin(close_then_read);
    publish_number(3, 60000);
    await(1);
    channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    wash();
    in_callback = finalize_then_read;
    publish_number(3, 60000);
    settle(library);
    await(2);
}

/* ---- Very many ------------------------------------------------------------------------ */

/* Of all sizes up to the largest, most of them small. */
static size_t size_of(size_t number)
{
    return number % 100 == 0 ? (number * 977) % (MOST + 1) : (number * 31) % 200;
}

static void very_many_are_kept(void)
{
    size_t most = test_rounds(100000, 3000);
    size_t index;
    unsigned char *seen = calloc(most, 1);
    kept = calloc(most, sizeof *kept);
    NEED(kept != NULL && seen != NULL);
    begin(keep);
    for (index = 0; index < most; index++) {
        publish_number(index, size_of(index));
        if (index % 200 == 199)
            await(index + 1);
    }
    await(most);
    CHECK_EQ(most, called);
    for (index = 0; index < most; index++) {
        size_t number = check_event(kept[index], room, wanted);
        NEED(number < most && !seen[number]);
        seen[number] = 1;
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(kept[index]));
    }
    wash();
    free(kept);
    free(seen);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

/* ---- Several threads in dispatch ------------------------------------------------------- */

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t shared_called;
static SaEvtEventHandleT shared_kept[64];

/* Reads it at once or later; frees it, or keeps it and frees one that was kept before. */
static void deliver_to_one_of_many(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                                   SaSizeT size)
{
    unsigned char *got = malloc(MOST);
    unsigned char *right = malloc(MOST);
    size_t number;
    (void)subscription;
    (void)size;
    NEED(got != NULL && right != NULL);
    number = check_event(event, got, right);
    if (number % 3 == 0)
        sched_yield();
    if (number % 2 == 0) {
        SaEvtEventHandleT other;
        pthread_mutex_lock(&shared_lock);
        other = shared_kept[number % 64];
        shared_kept[number % 64] = event;
        pthread_mutex_unlock(&shared_lock);
        event = other;
    }
    if (event != 0) {
        check_event(event, got, right);
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    }
    free(got);
    free(right);
    pthread_mutex_lock(&shared_lock);
    shared_called++;
    pthread_mutex_unlock(&shared_lock);
}

static size_t shared_calls(void)
{
    size_t number;
    pthread_mutex_lock(&shared_lock);
    number = shared_called;
    pthread_mutex_unlock(&shared_lock);
    return number;
}

static void *dispatch_to_the_end(void *argument)
{
    (void)argument;
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_BLOCKING));
    return NULL;
}

static void threads_read_what_others_dispatch_beside_them(void)
{
    static const SaEvtCallbacksT callbacks = {NULL, deliver_to_one_of_many};
    pthread_t threads[DISPATCHERS];
    size_t most = test_rounds(6000, 300);
    size_t index;
    SaNameT name;
    library = library_new(3, &callbacks);
    channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    for (index = 0; index < DISPATCHERS; index++)
        NEED(pthread_create(&threads[index], NULL, dispatch_to_the_end, NULL) == 0);
    for (index = 0; index < most; index++) {
        publish_number(index, index % 5 == 0 ? (index * 977) % (MOST + 1) : index % 300);
        while (index - shared_calls() > 100 && index > shared_calls())
            test_pause();
    }
    while (shared_calls() < most)
        test_pause();
    for (index = 0; index < 64; index++) {
        if (shared_kept[index] != 0)
            check_event(shared_kept[index], room, wanted);
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    for (index = 0; index < DISPATCHERS; index++)
        CHECK(pthread_join(threads[index], NULL) == 0);
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    an_event_is_read_in_its_callback();
    a_kept_event_is_read_and_published_afterwards();
    an_outer_event_is_read_after_a_nested_dispatch();
    another_thread_frees_it_in_the_callback();
    it_is_published_in_its_callback_and_gone_when_it_is_freed();
    its_channel_and_its_library_may_end_in_the_callback();
    very_many_are_kept();
    threads_read_what_others_dispatch_beside_them();
    return test_end();
}
