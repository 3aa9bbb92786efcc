/* Processes that end without finalizing: SAI-AIS-EVT-B.03.01, Event Channels, Life Cycle. */
#include "evt_test.h"

static SaEvtHandleT library;

/* The argument of a role is "<number> <text>". */
static unsigned long role_number(const char **text)
{
    char *rest;
    unsigned long number = strtoul(test_role_argument(), &rest, 10);
    *text = rest + 1;
    return number;
}

static struct child role_start(const char *role, size_t number, const char *text)
{
    char argument[2 * TEXT_MAX];
    snprintf(argument, sizeof argument, "%lu %s", (unsigned long)number, text);
    return child_start(role, argument);
}

/* Holds unlinked channels, and waits to be killed or told to go on. */
static void holder_role(void)
{
    const char *prefix;
    unsigned long number = role_number(&prefix);
    SaEvtHandleT own = library_new(3, NULL);
    unsigned long index;
    for (index = 0; index < number; index++) {
        char text[2 * TEXT_MAX];
        SaNameT name;
        snprintf(text, sizeof text, "%s.%ld.%lu", prefix, (long)getpid(), index);
        name_text(&name, text);
        publish_text(channel_open(own, &name, OPEN_ALL), "held", LOWEST, RETAIN_NS);
        NEED_OK(saEvtChannelUnlink(own, &name));
    }
    parent_say('r');
    if (parent_hear() == 'e') {
        char *arguments[4];
        arguments[0] = (char *)(uintptr_t)"/bin/cat"; /* lives until its input ends */
        arguments[1] = NULL;
        execv(arguments[0], arguments);
        _exit(126);
    }
    _exit(0);
}

/* Makes this many channels at once, which works only when those of the dead are gone. */
static void channels_can_be_made(size_t number)
{
    SaEvtHandleT own = library_recording();
    size_t index;
    for (index = 0; index < number; index++) {
        SaEvtChannelHandleT channel = 0;
        SaAisErrorT result;
        SaNameT name;
        name_fresh(&name);
        do {
            REPEAT(result, saEvtChannelOpen(own, &name, OPEN_ALL, SA_TIME_MAX, &channel));
            if (result == SA_AIS_ERR_NO_RESOURCES)
                test_pause(); /* the end of a process is noticed soon, not at once */
        } while (result == SA_AIS_ERR_NO_RESOURCES);
        CHECK_EQ(SA_AIS_OK, result);
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(own, &name));
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
}

static void unlinked_channels_go_with_their_process(void)
{
    SaUint64T most = limit(library, SA_EVT_MAX_NUM_CHANNELS_ID);
    size_t half = (size_t)most / 2;
    struct child child;
    if (most >= 5000) {
        test_skip("channels of the dead are counted by the limit, which is 5000 or more");
        return;
    }
    child = role_start("holder", half, name_fresh_text());
    NEED(child_hear(&child) == 'r');
    child_kill(&child);
    channels_can_be_made((size_t)most - half / 2);
    child = role_start("holder", half, name_fresh_text());
    NEED(child_hear(&child) == 'r');
    child_say(&child, 'x');
    child_end(&child);
    channels_can_be_made((size_t)most - half / 2);
    /* After exec the process lives, but not as the one that opened the channels. */
    child = role_start("holder", half, name_fresh_text());
    NEED(child_hear(&child) == 'r');
    child_say(&child, 'e');
    channels_can_be_made((size_t)most - half / 2);
    child_end(&child);
}

/* Publishes and ends at once, in the way that the number says. */
static void shot_role(void)
{
    const char *text;
    unsigned long way = role_number(&text);
    SaEvtHandleT own = library_new(3, NULL);
    SaNameT name;
    name_text(&name, text);
    publish_text(channel_open(own, &name, SA_EVT_CHANNEL_PUBLISHER), "shot", LOWEST,
                 way % 2 == 0 ? 0 : RETAIN_NS);
    if (way < 2)
        _exit(0);
    if (way < 4)
        exit(0);
    if (way < 6) {
        kill(getpid(), SIGKILL);
        _exit(1);
    }
    /* The last ways return from main. */
}

static void an_event_outlives_its_process(void)
{
    size_t round;
    char text[TEXT_MAX];
    SaNameT name;
    SaEvtChannelHandleT channel;
    SaEvtChannelHandleT late;
    size_t rounds = test_rounds(80, 8);
    size_t retained = 0;
    snprintf(text, sizeof text, "%s", name_fresh_text());
    name_text(&name, text);
    channel = channel_open(library, &name, OPEN_ALL);
    subscribe_all(channel, 1);
    for (round = 0; round < rounds; round++) {
        struct child child = role_start("shot", round % 8, text);
        int status = child_wait(&child);
        CHECK(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
        EXPECT_TEXTS(library, "shot");
        retained += round % 2;
    }
    late = channel_open(library, &name, OPEN_BOTH);
    subscribe_all(late, 2);
    await_deliveries(library, retained);
    CHECK_EQ(retained, log_deliveries());
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(late));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* Publishes more than a service takes at once, finalizes and ends. */
static void burst_role(void)
{
    const char *text;
    unsigned long number = role_number(&text);
    SaEvtHandleT own = library_new(3, NULL);
    SaEvtChannelHandleT channel;
    SaEvtEventHandleT event;
    SaNameT name;
    name_text(&name, text);
    channel = channel_open(own, &name, SA_EVT_CHANNEL_PUBLISHER);
    event = event_new(channel);
    while (number-- > 0)
        event_publish(event, "burst", 5);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(own));
    _exit(0);
}

/* No request of a process that has ended overtakes what it has published. */
static void a_burst_outlives_its_process(void)
{
    size_t number = test_rounds(5000, 1000);
    char text[TEXT_MAX];
    SaNameT name;
    SaEvtChannelHandleT channel;
    struct child child;
    int status;
    snprintf(text, sizeof text, "%s", name_fresh_text());
    name_text(&name, text);
    channel = channel_open(library, &name, OPEN_ALL);
    subscribe_all(channel, 1);
    child = role_start("burst", number, text);
    await_deliveries(library, number);
    status = child_wait(&child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQ(number, log_deliveries());
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* A subscriber that never dispatches. */
static void deaf_role(void)
{
    const char *text;
    SaEvtHandleT own = library_recording();
    SaNameT name;
    role_number(&text);
    name_text(&name, text);
    subscribe_all(channel_open(own, &name, OPEN_BOTH), 1);
    parent_say('r');
    parent_hear();
}

/* Subscribers that die with full queues, some while being served, disturb nobody. */
static void dying_subscribers_disturb_nobody(void)
{
    char text[TEXT_MAX];
    SaNameT name;
    SaEvtChannelHandleT channel;
    SaEvtEventHandleT event;
    char data[4000];
    size_t round;
    snprintf(text, sizeof text, "%s", name_fresh_text());
    name_text(&name, text);
    channel = channel_open(library, &name, OPEN_ALL);
    subscribe_all(channel, 1);
    event = event_new(channel);
    memset(data, 'd', sizeof data);
    for (round = 0; round < test_rounds(20, 2); round++) {
        struct child child = role_start("deaf", 0, text);
        size_t index;
        NEED(child_hear(&child) == 'r');
        for (index = 0; index < 300; index++) {
            event_publish(event, data, sizeof data);
            if (index == 150 + round)
                child_kill(&child);
        }
        await_deliveries(library, 300);
        CHECK_EQ(300, log_deliveries());
        log_clear();
    }
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    if (strcmp(test_role(), "holder") == 0) {
        holder_role();
    } else if (strcmp(test_role(), "shot") == 0) {
        shot_role();
    } else if (strcmp(test_role(), "burst") == 0) {
        burst_role();
    } else if (strcmp(test_role(), "deaf") == 0) {
        deaf_role();
    } else {
        library = library_recording();
        unlinked_channels_go_with_their_process();
        an_event_outlives_its_process();
        a_burst_outlives_its_process();
        dying_subscribers_disturb_nobody();
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    }
    return test_end();
}
