/* fork(): the choices of this project where the AIS programming model promises nothing. */
#include "evt_test.h"

#include <stdbool.h>
#include <sys/mman.h>

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static SaEvtEventHandleT event;
static SaNameT channel_name;

static void inherited_handles_are_bad(void)
{
    SaSelectionObjectT object = 0;
    SaEvtChannelHandleT opened = 0;
    SaEvtEventHandleT allocated = 0;
    SaEvtEventFilterArrayT filters = {0, NULL};
    SaEvtEventIdT id = 0;
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtSelectionObjectGet(library, &object));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(library, SA_DISPATCH_ALL));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(library, SA_DISPATCH_BLOCKING));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE,
                  saEvtChannelOpen(library, &channel_name, OPEN_ALL, SA_TIME_MAX, &opened));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtChannelUnlink(library, &channel_name));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtEventAllocate(channel, &allocated));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtEventSubscribe(channel, &filters, 9));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtEventPublish(event, "child", 5, &id));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(event));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtChannelClose(channel));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtFinalize(library));
}

/* The child says by its exit status whether its checks held. */
static void run_child(int (*body)(void))
{
    int status = -1;
    pid_t child;
    fflush(stdout);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        test_watchdog_start();
        log_clear();
        _exit(body());
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    CHECK_REC(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int status_of_checks(void)
{
    /* test_end() prints its line to the child's copy of standard output. */
    int status;
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    status = test_end();
    fflush(stdout);
    return status;
}

static int child_uses_inherited_handles(void)
{
    inherited_handles_are_bad();
    return status_of_checks();
}

static int child_initializes_afresh(void)
{
    SaEvtHandleT own;
    SaEvtChannelHandleT mine;
    inherited_handles_are_bad();
    own = library_recording();
    mine = channel_open(own, &channel_name, OPEN_BOTH);
    subscribe_all(mine, 3);
    publish_text(mine, "from the child", LOWEST, 0);
    EXPECT_TEXTS_OF(own, "from the child:3");
    inherited_handles_are_bad();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
    return status_of_checks();
}

/* How many ranges of memory this process shares with the daemon. */
static int shared_ranges(void)
{
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    NEED(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        found += strstr(line, "memfd:saevt") != NULL;
    fclose(maps);
    return found;
}

static int child_counts_shared_ranges(void)
{
    CHECK_EQ_REC(0, shared_ranges());
    return status_of_checks();
}

static void a_child_has_none_of_the_memory(void)
{
    CHECK_REC(shared_ranges() > 0);
    run_child(child_counts_shared_ranges);
}

static int child_closes_every_descriptor(void)
{
    int descriptor;
    for (descriptor = 3; descriptor < 1024; descriptor++)
        close(descriptor);
    return 0;
}

static int child_exits_at_once(void)
{
    exit(0); /* with the handlers and destructors that the library may have registered */
}

static void parent_still_works(const char *expected);

static int *handlers_done; /* shared with the children */
static SaEvtHandleT left_over;

/* Runs at the exit, when the library's own handlers are still to come or have run. */
static void end_in_a_handler(void)
{
    if (saEvtFinalize(library) == SA_AIS_ERR_BAD_HANDLE && saEvtFinalize(left_over) == SA_AIS_OK)
        ++*handlers_done;
}

/* Ends as by a return from main(), with handles of its own that nobody has finalized. */
static int child_exits_with_handles_of_its_own(void)
{
    SaEvtChannelHandleT mine;
    NEED(atexit(end_in_a_handler) == 0);
    left_over = library_recording();
    mine = channel_open(left_over, &channel_name, OPEN_BOTH);
    subscribe_all(mine, 3);
    publish_text(mine, "from the child", LOWEST, 0);
    EXPECT_TEXTS_OF(left_over, "from the child:3");
    exit(status_of_checks());
}

static void a_child_may_end_in_order(void)
{
    handlers_done = mmap(NULL, sizeof *handlers_done, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NEED(handlers_done != MAP_FAILED);
    run_child(child_exits_with_handles_of_its_own);
    CHECK_EQ_REC(1, *handlers_done);
    CHECK(munmap(handlers_done, sizeof *handlers_done) == 0);
    parent_still_works("from the child,parent");
}

static void parent_still_works(const char *expected)
{
    publish_text(channel, "parent", LOWEST, 0);
    EXPECT_TEXTS(library, expected);
    event_publish(event, "again", 5);
    EXPECT_TEXTS(library, "again");
}

static struct flag stop = FLAG_DOWN;

/* Without checks: the child of a fork could inherit their lock while it is held. */
static void *keep_busy(void *argument)
{
    SaEvtChannelHandleT busy = *(SaEvtChannelHandleT *)argument;
    while (!flag_get(&stop)) {
        SaEvtEventHandleT made = 0;
        SaEvtEventIdT id = 0;
        if (saEvtEventAllocate(busy, &made) != SA_AIS_OK)
            continue;
        saEvtEventPublish(made, "busy", 4, &id);
        saEvtEventFree(made);
    }
    return NULL;
}

/* Whatever the other threads do in the library at the moment of the fork. */
static void forks_beside_busy_threads(void)
{
    SaEvtHandleT own = library_recording();
    SaNameT name;
    SaEvtChannelHandleT busy = channel_fresh(own, &name);
    pthread_t threads[2];
    size_t round;
    size_t index;
    for (index = 0; index < 2; index++)
        NEED(pthread_create(&threads[index], NULL, keep_busy, &busy) == 0);
    for (round = 0; round < test_rounds(20, 3); round++) {
        run_child(child_initializes_afresh);
        parent_still_works("from the child,parent");
    }
    flag_put(&stop, 1);
    for (index = 0; index < 2; index++)
        CHECK(pthread_join(threads[index], NULL) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(own, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
}

enum { CHILDS_FILES = 64 };

static pid_t forked;
static SaEvtHandleT finalized_first;
static int files[CHILDS_FILES];

/* The child opens files, which get the numbers that its parent's descriptors had. */
static void fork_in_callback(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT received,
                             SaSizeT size)
{
    (void)subscription;
    (void)size;
    if (finalized_first != 0)
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(finalized_first));
    fflush(stdout);
    forked = fork();
    NEED(forked >= 0);
    if (forked > 0 && finalized_first == 0)
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(received));
    for (int index = 0; forked == 0 && index < CHILDS_FILES; index++)
        files[index] = open("/dev/null", O_RDONLY);
}

static bool files_are_open(void)
{
    for (int index = 0; index < CHILDS_FILES; index++)
        if (files[index] < 0 || fcntl(files[index], F_GETFD) < 0)
            return false;
    return true;
}

/*
 * A child that returns from the callback it was made in comes out of dispatch with the files it has
 * opened, and ends well; also if the callback has finalized the handle before.
 */
static void a_callback_may_fork(bool finalizes)
{
    SaEvtCallbacksT callbacks = {NULL, fork_in_callback};
    SaEvtHandleT own = library_new(3, &callbacks);
    SaNameT name;
    SaEvtChannelHandleT on = channel_fresh(own, &name);
    int descriptor = selection_object(own);
    int status = -1;
    forked = -1;
    finalized_first = finalizes ? own : 0;
    subscribe_all(on, 1);
    publish_text(on, "fork", LOWEST, 0);
    while (forked < 0) {
        test_pause();
        if (readable(descriptor)) {
            SaAisErrorT result = saEvtDispatch(own, SA_DISPATCH_ALL);
            if (forked == 0)
                _exit(result == SA_AIS_OK && files_are_open() ? 0 : 1);
            CHECK_EQ(SA_AIS_OK, result);
        }
    }
    while (waitpid(forked, &status, 0) < 0 && errno == EINTR)
        ;
    CHECK_REC(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    if (!finalizes)
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    channel = channel_fresh(library, &channel_name);
    event = event_new(channel);
    subscribe_all(channel, 1);
    parent_still_works("parent");
    run_child(child_uses_inherited_handles);
    parent_still_works("parent");
    a_child_has_none_of_the_memory();
    parent_still_works("parent");
    run_child(child_exits_at_once);
    parent_still_works("parent");
    a_child_may_end_in_order();
    run_child(child_closes_every_descriptor);
    parent_still_works("parent");
    run_child(child_initializes_afresh);
    parent_still_works("from the child,parent");
    /* Events that are pending at the fork stay the parent's. */
    publish_text(channel, "pending", LOWEST, 0);
    settle(library);
    run_child(child_uses_inherited_handles);
    parent_still_works("pending,parent");
    forks_beside_busy_threads();
    a_callback_may_fork(false);
    parent_still_works("parent");
    a_callback_may_fork(true);
    parent_still_works("parent");
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
