/* Thousands of library handles one after another leave nothing behind, nor does a child show. */
#include "evt_test.h"

#include <dirent.h>

static volatile sig_atomic_t child_signals;

static void note_child(int number)
{
    (void)number;
    child_signals++;
}

static size_t entries_of(const char *path)
{
    size_t number = 0;
    DIR *directory = opendir(path);
    NEED(directory != NULL);
    while (readdir(directory) != NULL)
        number++;
    closedir(directory);
    return number;
}

static long resident_pages(void)
{
    long size = 0;
    long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    NEED(file != NULL);
    NEED(fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    return resident;
}

/* Everything a program does between, and nothing given back but by finalize. */
static void busy_cycle(void)
{
    SaNameT name;
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    selection_object(library);
    event_with(channel, "never freed", 1, 0);
    publish_text(channel, "x", LOWEST, RETAIN_NS);
    log_keep_events = 1;
    EXPECT_TEXTS(library, "x");
    log_keep_events = 0;
    publish_text(channel, "undelivered", LOWEST, 0);
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(library, 1, &name, OPEN_BOTH));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    log_clear();
}

static void failing_initialize(void)
{
    SaVersionT version = {'B', 99, 1};
    SaEvtHandleT library = 0;
    CHECK_EQ(SA_AIS_ERR_VERSION, saEvtInitialize(&library, NULL, &version));
}

static void quick_cycle(void)
{
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library_new(1, NULL)));
}

static void channel_cycle(SaEvtHandleT library)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventPatternArrayT patterns = {0, 0, NULL};
    SaEvtEventHandleT event = event_with(channel, "pattern", 0, 0);
    subscribe_all(channel, 1);
    publish_text(channel, "x", LOWEST, 0);
    EXPECT_TEXTS(library, "x");
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtEventPatternFree(event, patterns.patterns));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
}

static void cycles(SaEvtHandleT library, size_t number)
{
    size_t index;
    for (index = 0; index < number; index++) {
        quick_cycle();
        failing_initialize();
        if (index % 4 == 0)
            busy_cycle();
        if (index % 2 == 0)
            channel_cycle(library);
    }
}

int main(int argc, char **argv)
{
    size_t rounds;
    size_t descriptors;
    size_t tasks;
    long resident;
    long grown_bytes;
    struct sigaction action;
    SaEvtHandleT library;
    test_begin(argc, argv);
    rounds = test_rounds(3000, 40);
    memset(&action, 0, sizeof action);
    action.sa_handler = note_child;
    NEED(sigaction(SIGCHLD, &action, NULL) == 0);
    library = library_recording();
    cycles(library, rounds / 5);
    descriptors = entries_of("/proc/self/fd");
    tasks = entries_of("/proc/self/task");
    resident = resident_pages();
    cycles(library, rounds);
    CHECK_EQ(descriptors, entries_of("/proc/self/fd"));
    CHECK_EQ(tasks, entries_of("/proc/self/task"));
    grown_bytes = (resident_pages() - resident) * sysconf(_SC_PAGESIZE);
    if (test_instrumented())
        test_skip("the memory of the process: a checker keeps what was freed");
    else /* a hundred octets a round would be 300000; allocators need some play */
        CHECK(grown_bytes < 2 * 1024 * 1024);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_EQ(0, child_signals);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    return test_end();
}
