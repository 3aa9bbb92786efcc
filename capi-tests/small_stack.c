/* The largest event is dispatched by threads with small stacks. */
#include "evt_test.h"

#include <limits.h>

static SaEvtHandleT library;
static SaEvtChannelHandleT channel;
static unsigned char *data;
static unsigned char *room;
static SaSizeT most;
static size_t delivered;

/* Takes no more stack than it must: the stack under test is the library's. */
static void deliver(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT size)
{
    SaSizeT given = most;
    (void)subscription;
    if (size == most && saEvtEventDataGet(event, room, &given) == SA_AIS_OK && given == most
        && memcmp(room, data, (size_t)most) == 0 && saEvtEventFree(event) == SA_AIS_OK)
        delivered++;
}

static void *dispatch_and_publish(void *unused)
{
    SaEvtEventHandleT event = 0;
    SaEvtEventIdT id;
    SaAisErrorT result;
    (void)unused;
    while (delivered < 1)
        NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
    NEED_OK(saEvtEventAllocate(channel, &event));
    REPEAT(result, saEvtEventPublish(event, data, most, &id));
    while (delivered < 2)
        NEED_OK(saEvtDispatch(library, SA_DISPATCH_ONE));
    return NULL;
}

static void run_on_stack(size_t size)
{
    SaEvtCallbacksT callbacks = {NULL, deliver};
    SaNameT name;
    SaEvtEventHandleT event;
    pthread_attr_t attributes;
    pthread_t thread;
    size_t index;
    library = library_new(3, &callbacks);
    most = limit(library, SA_EVT_MAX_EVT_SIZE_ID);
    data = malloc((size_t)most);
    room = malloc((size_t)most);
    NEED(data != NULL && room != NULL);
    for (index = 0; index < most; index++)
        data[index] = (unsigned char)(index * 7);
    channel = channel_fresh(library, &name);
    event = event_new(channel);
    subscribe_all(channel, 1);
    event_publish(event, data, (size_t)most);
    NEED(pthread_attr_init(&attributes) == 0);
    NEED(pthread_attr_setstacksize(&attributes, size) == 0);
    NEED(pthread_create(&thread, &attributes, dispatch_and_publish, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(2, delivered);
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    free(data);
    free(room);
}

static int holds_on_stack(size_t size)
{
    char text[32];
    struct child child;
    int status;
    snprintf(text, sizeof text, "%lu", (unsigned long)size);
    child = child_start("stack", text);
    status = child_wait(&child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    if (test_role()[0] != '\0') {
        run_on_stack((size_t)strtoul(test_role_argument(), NULL, 10));
        return test_end();
    }
    if (test_instrumented()) {
        test_skip("sanitizers and checkers need stack of their own");
        run_on_stack(1024 * 1024);
        return test_end();
    }
    CHECK(holds_on_stack(64 * 1024));
    CHECK(holds_on_stack(48 * 1024));
    CHECK_REC(holds_on_stack((size_t)PTHREAD_STACK_MIN + 8192));
    return test_end();
}
