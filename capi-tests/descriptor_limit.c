/* No descriptors left: SAI-AIS-EVT-B.03.01, SA_AIS_ERR_NO_RESOURCES. */
#include "evt_test.h"

#define PERMITTED 64

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaNameT name;
static int taken[PERMITTED];
static size_t taken_number;

/* Takes `left` descriptors less than there are. */
static void take_descriptors(size_t left)
{
    int descriptor;
    taken_number = 0;
    while (taken_number < PERMITTED && (descriptor = dup(STDOUT_FILENO)) >= 0)
        taken[taken_number++] = descriptor;
    CHECK(errno == EMFILE);
    NEED(left <= taken_number);
    while (left-- > 0)
        CHECK(close(taken[--taken_number]) == 0);
}

static void give_descriptors_back(void)
{
    while (taken_number > 0)
        CHECK(close(taken[--taken_number]) == 0);
}

/* Without a selection object, so without a descriptor. */
static void expect_text(const char *text)
{
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ALL));
    CHECK_EQ(1, log_deliveries());
    CHECK(strcmp(log_delivery(0).text, text) == 0);
    log_clear();
}

static void a_second_handle_is_refused_and_the_first_works(void)
{
    SaEvtHandleT second = 4711;
    SaSelectionObjectT object = 0;
    SaVersionT version;
    size_t left;
    /* A handle takes two. */
    for (left = 0; left < 2; left++) {
        take_descriptors(left);
        version.releaseCode = 'B';
        version.majorVersion = 3;
        version.minorVersion = 1;
        CHECK_AIS_REC(SA_AIS_ERR_NO_RESOURCES,
                      saEvtInitialize(&second, &recording_callbacks, &version));
        CHECK_EQ(4711, second);
        CHECK_AIS_REC(SA_AIS_ERR_NO_RESOURCES, saEvtSelectionObjectGet(library, &object));
        /* Blocking dispatch has to wait on something too. */
        CHECK_EQ_REC(SA_AIS_ERR_TRY_AGAIN, saEvtDispatch(library, SA_DISPATCH_BLOCKING));
        publish_text(channel, "meanwhile", LOWEST, 0);
        expect_text("meanwhile");
        give_descriptors_back();
        publish_text(channel, "afterwards", LOWEST, 0);
        expect_text("afterwards");
    }
    take_descriptors(2);
    second = library_recording();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(second));
    give_descriptors_back();
}

static void *dispatch_blocking(void *argument)
{
    (void)argument;
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_BLOCKING));
    return NULL;
}

static void with_a_selection_object_blocking_dispatch_needs_none(void)
{
    pthread_t thread;
    (void)selection_object(library);
    NEED(pthread_create(&thread, NULL, dispatch_blocking, NULL) == 0);
    take_descriptors(0);
    publish_text(channel, "blocking", LOWEST, 0);
    while (log_deliveries() < 1)
        test_pause();
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK(pthread_join(thread, NULL) == 0);
    give_descriptors_back();
    log_clear();
}

/* Neither is there one for the connection. */
static void first_handle_of_a_process(void)
{
    SaEvtHandleT first = 4711;
    SaVersionT version = {'B', 3, 1};
    SaAisErrorT result;
    take_descriptors(0);
    REPEAT(result, saEvtInitialize(&first, &recording_callbacks, &version));
    CHECK_EQ_REC(SA_AIS_ERR_NO_RESOURCES, result);
    CHECK_EQ(4711, first);
    give_descriptors_back();
}

int main(int argc, char **argv)
{
    struct rlimit files;
    test_begin(argc, argv);
    NEED(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = PERMITTED;
    NEED(setrlimit(RLIMIT_NOFILE, &files) == 0);
    first_handle_of_a_process();
    library = library_recording();
    channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    if (test_instrumented())
        test_skip("a checker does not count descriptors that come in a message");
    else
        a_second_handle_is_refused_and_the_first_works();
    with_a_selection_object_blocking_dispatch_needs_none();
    return test_end();
}
