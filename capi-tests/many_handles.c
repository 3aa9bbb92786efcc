/* Large numbers of library handles, channels and events that nobody frees. */
#include "evt_test.h"

#define DESCRIPTORS_PER_HANDLE 4
#define DESCRIPTORS_APART 100

static SaEvtEventHandleT *unfreed;
static size_t unfreed_number;

static void keep(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    (void)subscription;
    (void)size;
    unfreed[unfreed_number++] = event;
}

static size_t handles_wanted(void)
{
    struct rlimit files;
    size_t wanted = test_rounds(2000, 60);
    size_t possible;
    NEED(getrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0)
            NEED(getrlimit(RLIMIT_NOFILE, &files) == 0);
    }
    NEED(files.rlim_cur > 2 * DESCRIPTORS_APART);
    possible = ((size_t)files.rlim_cur - DESCRIPTORS_APART) / DESCRIPTORS_PER_HANDLE;
    if (possible < wanted) {
        test_skip("fewer library handles than wanted: this process may not have the descriptors");
        return possible;
    }
    return wanted;
}

/* The service may have a bound of its own; it tells so, and takes handles again afterwards. */
static size_t initialize_many(SaEvtHandleT *libraries, size_t wanted)
{
    size_t number;
    for (number = 0; number < wanted; number++) {
        SaVersionT version = {'B', 3, 1};
        SaAisErrorT result;
        REPEAT(result,
               saEvtInitialize(&libraries[number], &recording_callbacks, &version));
        if (result == SA_AIS_ERR_NO_RESOURCES || result == SA_AIS_ERR_NO_MEMORY) {
            test_skip("the service bounds the number of library handles of this process");
            break;
        }
        CHECK_EQ(SA_AIS_OK, result);
        NEED(result == SA_AIS_OK);
    }
    CHECK(number >= 50);
    return number;
}

static void library_handles(void)
{
    size_t wanted = handles_wanted();
    SaEvtHandleT *libraries = calloc(wanted, sizeof *libraries);
    size_t number;
    size_t index;
    SaNameT name;
    SaEvtChannelHandleT first = 0;
    NEED(libraries != NULL);
    number = initialize_many(libraries, wanted);
    name_fresh(&name);
    for (index = 0; index < number; index++) {
        SaEvtChannelHandleT channel = channel_open(libraries[index], &name, OPEN_ALL);
        subscribe_all(channel, (SaEvtSubscriptionIdT)index);
        first = index == 0 ? channel : first;
    }
    publish_text(first, "to all", LOWEST, 0);
    for (index = 0; index < number; index++) {
        await_deliveries(libraries[index], 1);
        CHECK_EQ(1, log_deliveries());
        CHECK_EQ(index, log_delivery(0).subscription);
        log_clear();
    }
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(libraries[0], &name));
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(libraries[index]));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library_recording()));
    free(libraries);
}

static void channels(void)
{
    SaEvtHandleT library = library_recording();
    size_t most = (size_t)limit(library, SA_EVT_MAX_NUM_CHANNELS_ID) - 10;
    size_t wanted = test_rounds(2000, 100);
    size_t number = wanted < most ? wanted : most;
    SaNameT *names = calloc(number, sizeof *names);
    SaEvtChannelHandleT *handles = calloc(number, sizeof *handles);
    unsigned char *seen = calloc(number, 1);
    size_t index;
    NEED(names != NULL && handles != NULL && seen != NULL);
    for (index = 0; index < number; index++) {
        handles[index] = channel_fresh(library, &names[index]);
        subscribe_all(handles[index], (SaEvtSubscriptionIdT)index);
    }
    for (index = 0; index < number; index++) {
        publish_text(handles[index], "x", LOWEST, 0);
        if (index % 100 == 99)
            await_deliveries(library, index + 1);
    }
    await_deliveries(library, number);
    CHECK_EQ(number, log_deliveries());
    for (index = 0; index < log_deliveries(); index++) {
        SaEvtSubscriptionIdT id = log_delivery(index).subscription;
        NEED(id < number);
        CHECK(!seen[id]);
        seen[id] = 1;
    }
    log_clear();
    for (index = 0; index < number; index++) {
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &names[index]));
        if (index % 2 == 0)
            CHECK_AIS(SA_AIS_OK, saEvtChannelClose(handles[index]));
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    free(names);
    free(handles);
    free(seen);
}

/* Real programs never free what they receive. The handles stay good until the channel ends. */
static void unfreed_events(void)
{
    size_t number = test_rounds(100000, 3000);
    SaEvtCallbacksT callbacks = {NULL, keep};
    SaEvtHandleT library = library_new(1, &callbacks);
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventHandleT event = event_new(channel);
    size_t index;
    /* Some room for events beyond those asked for, should the service invent any. */
    unfreed = calloc(number + 1000, sizeof *unfreed);
    NEED(unfreed != NULL);
    subscribe_all(channel, 1);
    for (index = 1; index <= number; index++) {
        uint32_t value = (uint32_t)index - 1;
        event_publish(event, &value, sizeof value);
        while (index % 200 == 0 && unfreed_number < index)
            NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
    }
    while (unfreed_number < number)
        NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
    CHECK_EQ(number, unfreed_number);
    for (index = 0; index < number; index++) {
        uint32_t value = 0;
        SaSizeT size = sizeof value;
        CHECK_AIS(SA_AIS_OK,
                  (size = sizeof value, saEvtEventDataGet(unfreed[index], &value, &size)));
        CHECK_EQ(index, value);
        if (index % 3 == 0)
            CHECK_AIS(SA_AIS_OK, saEvtEventFree(unfreed[index]));
    }
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    for (index = 0; index < number; index += 997)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(unfreed[index]));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    free(unfreed);
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library_handles();
    channels();
    unfreed_events();
    return test_end();
}
