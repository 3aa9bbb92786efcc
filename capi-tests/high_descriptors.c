/* Descriptors beyond those that select() can name. */
#include "evt_test.h"

#define BEYOND 1023
#define WANTED 1400

static void *dispatch_blocking(void *argument)
{
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(*(SaEvtHandleT *)argument, SA_DISPATCH_BLOCKING));
    return NULL;
}

static void everything_works_up_there(void)
{
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel;
    SaEvtChannelHandleT opened;
    SaNameT name;
    pthread_t thread;
    CHECK(selection_object(library) > BEYOND);
    channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    publish_text(channel, "high", LOWEST, 0);
    EXPECT_TEXTS(library, "high");
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(library, 1, &name, OPEN_BOTH));
    await_openings(library, 1);
    opened = log_opening(0).channel;
    CHECK_EQ(SA_AIS_OK, log_opening(0).error);
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(opened));
    NEED(pthread_create(&thread, NULL, dispatch_blocking, &library) == 0);
    publish_text(channel, "blocking", LOWEST, 0);
    while (log_deliveries() < 1)
        test_pause();
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK(pthread_join(thread, NULL) == 0);
    log_clear();
}

int main(int argc, char **argv)
{
    struct rlimit files;
    int descriptor;
    test_begin(argc, argv);
    NEED(getrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_cur < WANTED) {
        files.rlim_cur = files.rlim_max < WANTED ? files.rlim_max : WANTED;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < WANTED) {
            test_skip("this process may not have 1400 descriptors");
            return test_end();
        }
    }
    do {
        descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    } while (descriptor >= 0 && descriptor < BEYOND);
    if (descriptor < 0) {
        test_skip("no descriptor above 1023 could be had");
        return test_end();
    }
    everything_works_up_there();
    everything_works_up_there();
    return test_end();
}
