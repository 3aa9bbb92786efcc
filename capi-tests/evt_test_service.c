/* The service as the test programs use it: names, handles, events, the log. See evt_test.h. */
#include "evt_test.h"

/* ---- Names ---------------------------------------------------------------------------- */

void name_set(SaNameT *name, const void *octets, size_t length)
{
    size_t held = length < SA_MAX_NAME_LENGTH ? length : SA_MAX_NAME_LENGTH;
    memset(name, 0x5a, sizeof *name);
    name->length = (SaUint16T)length;
    if (held > 0 && octets != NULL)
        memcpy(name->value, octets, held);
}

void name_text(SaNameT *name, const char *text)
{
    name_set(name, text, strlen(text));
}

const char *name_fresh_text(void)
{
    static char text[TEXT_MAX];
    static unsigned long number;
    snprintf(text, sizeof text, "safChnl=test.%ld.%lu", (long)getpid(), ++number);
    return text;
}

void name_fresh(SaNameT *name)
{
    name_text(name, name_fresh_text());
}

/* ---- The log -------------------------------------------------------------------------- */

int log_keep_events;

static struct delivery *entries;
static size_t entries_number;
static size_t entries_room;
static struct opening *openings;
static size_t openings_number;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_entry(const struct delivery *entry)
{
    pthread_mutex_lock(&log_lock);
    if (entries_number == entries_room) {
        entries_room = entries_room == 0 ? 64 : 2 * entries_room;
        entries = realloc(entries, entries_room * sizeof *entries);
        NEED(entries != NULL);
    }
    entries[entries_number++] = *entry;
    pthread_mutex_unlock(&log_lock);
}

static void read_text(struct delivery *entry)
{
    SaSizeT size = entry->size;
    char *data = malloc((size_t)size + 1);
    NEED(data != NULL);
    CHECK_AIS(SA_AIS_OK, (size = entry->size, saEvtEventDataGet(entry->event, data, &size)));
    CHECK_EQ(entry->size, size);
    if (size > TEXT_MAX - 1)
        size = TEXT_MAX - 1;
    memcpy(entry->text, data, (size_t)size);
    free(data);
}

static void record_delivery(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event,
                            SaSizeT size)
{
    struct delivery entry;
    SaEvtEventPatternArrayT patterns;
    SaEvtEventPatternT no_room;
    SaAisErrorT result;
    memset(&entry, 0, sizeof entry);
    memset(&patterns, 0, sizeof patterns);
    memset(&no_room, 0, sizeof no_room);
    patterns.patterns = &no_room; /* the caller's array, with room for nothing: counts only */
    entry.subscription = subscription;
    entry.event = event;
    entry.size = size;
    result = saEvtEventAttributesGet(event, &patterns, NULL, NULL, NULL, NULL, NULL);
    CHECK(result == SA_AIS_OK || result == SA_AIS_ERR_NO_SPACE);
    entry.patterns_number = patterns.patternsNumber;
    CHECK_AIS(SA_AIS_OK,
              saEvtEventAttributesGet(event, NULL, &entry.priority, &entry.retention_ns, NULL,
                                      &entry.publish_time, &entry.id));
    if (entry.id == SA_EVT_EVENTID_LOST)
        memcpy(entry.text, "LOST", 5);
    else
        read_text(&entry);
    if (!log_keep_events)
        CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    add_entry(&entry);
}

static void record_opening(SaInvocationT invocation, SaEvtChannelHandleT channel,
                           SaAisErrorT error)
{
    struct opening entry;
    entry.invocation = invocation;
    entry.channel = channel;
    entry.error = error;
    pthread_mutex_lock(&log_lock);
    openings = realloc(openings, (openings_number + 1) * sizeof *openings);
    NEED(openings != NULL);
    openings[openings_number++] = entry;
    pthread_mutex_unlock(&log_lock);
}

const SaEvtCallbacksT recording_callbacks = {record_opening, record_delivery};

size_t log_deliveries(void)
{
    size_t number;
    pthread_mutex_lock(&log_lock);
    number = entries_number;
    pthread_mutex_unlock(&log_lock);
    return number;
}

struct delivery log_delivery(size_t index)
{
    struct delivery entry;
    memset(&entry, 0, sizeof entry);
    pthread_mutex_lock(&log_lock);
    if (index < entries_number)
        entry = entries[index];
    pthread_mutex_unlock(&log_lock);
    return entry;
}

size_t log_openings(void)
{
    size_t number;
    pthread_mutex_lock(&log_lock);
    number = openings_number;
    pthread_mutex_unlock(&log_lock);
    return number;
}

struct opening log_opening(size_t index)
{
    struct opening entry;
    memset(&entry, 0, sizeof entry);
    pthread_mutex_lock(&log_lock);
    if (index < openings_number)
        entry = openings[index];
    pthread_mutex_unlock(&log_lock);
    return entry;
}

void log_clear(void)
{
    pthread_mutex_lock(&log_lock);
    free(entries);
    free(openings);
    entries = NULL;
    openings = NULL;
    entries_number = entries_room = openings_number = 0;
    pthread_mutex_unlock(&log_lock);
}

/* ---- Waiting -------------------------------------------------------------------------- */

int selection_object(SaEvtHandleT library)
{
    SaSelectionObjectT object = 0;
    NEED_OK(saEvtSelectionObjectGet(library, &object));
    return (int)object;
}

static int poll_in(int descriptor, int timeout_ms)
{
    struct pollfd entry;
    int ready;
    entry.fd = descriptor;
    entry.events = POLLIN;
    entry.revents = 0;
    do {
        ready = poll(&entry, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    NEED(ready >= 0);
    return ready;
}

int readable(int descriptor)
{
    return poll_in(descriptor, 0) > 0;
}

static void await_entries(SaEvtHandleT library, size_t (*number)(void), size_t wanted)
{
    int descriptor = selection_object(library);
    while (number() < wanted) {
        poll_in(descriptor, -1);
        NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
    }
}

void await_deliveries(SaEvtHandleT library, size_t number)
{
    await_entries(library, log_deliveries, number);
}

void await_openings(SaEvtHandleT library, size_t number)
{
    await_entries(library, log_openings, number);
}

void drain(SaEvtHandleT library)
{
    int descriptor = selection_object(library);
    while (readable(descriptor))
        NEED_OK(saEvtDispatch(library, SA_DISPATCH_ALL));
}

static size_t list_length(const char *list)
{
    size_t number = list[0] != '\0' ? 1 : 0;
    for (; *list != '\0'; list++)
        number += *list == ',';
    return number;
}

static void expect_list(const char *file, int line, SaEvtHandleT library, const char *list,
                        int with_subscription)
{
    char found[4096] = "";
    size_t used = 0;
    size_t index;
    test_at(file, line);
    await_deliveries(library, list_length(list));
    for (index = 0; index < log_deliveries() && used < sizeof found - 128; index++) {
        struct delivery entry = log_delivery(index);
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%s", index > 0 ? "," : "",
                                 entry.text);
        if (with_subscription)
            used += (size_t)snprintf(found + used, sizeof found - used, ":%lu",
                                     (unsigned long)entry.subscription);
    }
    check_at(file, line, 0, strcmp(found, list) == 0, "the deliveries are those expected");
    if (strcmp(found, list) != 0)
        fprintf(stderr, "    expected %s\n    got      %s\n", list, found);
    log_clear();
}

void expect_texts(const char *file, int line, SaEvtHandleT library, const char *list)
{
    expect_list(file, line, library, list, 0);
}

void expect_texts_of(const char *file, int line, SaEvtHandleT library, const char *list)
{
    expect_list(file, line, library, list, 1);
}

/* ---- Libraries and channels ----------------------------------------------------------- */

SaEvtHandleT library_new(SaUint8T major, const SaEvtCallbacksT *callbacks)
{
    SaEvtHandleT library = 0;
    SaVersionT version;
    SaAisErrorT result;
    do {
        version.releaseCode = 'B';
        version.majorVersion = major;
        version.minorVersion = 1;
        REPEAT(result, saEvtInitialize(&library, callbacks, &version));
    } while (result == SA_AIS_ERR_TIMEOUT);
    CHECK_EQ(SA_AIS_OK, result);
    NEED(result == SA_AIS_OK);
    return library;
}

SaEvtHandleT library_recording(void)
{
    return library_new(3, &recording_callbacks);
}

SaEvtChannelHandleT channel_open(SaEvtHandleT library, const SaNameT *name,
                                 SaEvtChannelOpenFlagsT flags)
{
    SaEvtChannelHandleT channel = 0;
    NEED_OK(saEvtChannelOpen(library, name, flags, SA_TIME_MAX, &channel));
    return channel;
}

SaEvtChannelHandleT channel_fresh(SaEvtHandleT library, SaNameT *name)
{
    name_fresh(name);
    return channel_open(library, name, OPEN_ALL);
}

void subscribe_all(SaEvtChannelHandleT channel, SaEvtSubscriptionIdT id)
{
    SaEvtEventFilterArrayT filters;
    filters.filtersNumber = 0;
    filters.filters = NULL;
    NEED_OK(saEvtEventSubscribe(channel, &filters, id));
}

void subscribe_filter(SaEvtChannelHandleT channel, SaEvtSubscriptionIdT id,
                      SaEvtEventFilterTypeT type, const char *text)
{
    SaEvtEventFilterT filter;
    SaEvtEventFilterArrayT filters;
    filter.filterType = type;
    filter.filter = pattern_text(text);
    filters.filtersNumber = 1;
    filters.filters = &filter;
    NEED_OK(saEvtEventSubscribe(channel, &filters, id));
}

SaUint64T limit(SaEvtHandleT library, SaEvtLimitIdT id)
{
    SaLimitValueT value;
    memset(&value, 0, sizeof value);
    NEED_OK(saEvtLimitGet(library, id, &value));
    return id == SA_EVT_MAX_RETENTION_DURATION_ID ? (SaUint64T)value.timeValue
                                                  : value.uint64Value;
}

/* The library handle that the live ones among the wrong handles belong to. */
static SaEvtHandleT wrong_library;

void wrong_handles_end(void)
{
    if (wrong_library != 0)
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(wrong_library));
    wrong_library = 0;
}

size_t wrong_handles(enum handle_kind kind, SaUint64T handles[WRONG_HANDLES])
{
    SaNameT name;
    SaEvtHandleT library = library_recording();
    SaEvtHandleT ended = library_recording();
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT closed = channel_open(library, &name, OPEN_BOTH);
    SaEvtEventHandleT event = event_new(channel);
    SaEvtEventHandleT freed = event_new(channel);
    SaUint64T live[3];
    size_t number = 0;
    wrong_handles_end();
    wrong_library = library;
    live[LIBRARY_HANDLE] = library;
    live[CHANNEL_HANDLE] = channel;
    live[EVENT_HANDLE] = event;
    NEED_OK(saEvtEventFree(freed));
    NEED_OK(saEvtChannelClose(closed));
    NEED_OK(saEvtFinalize(ended));
    NEED_OK(saEvtChannelUnlink(library, &name));
    handles[number++] = 0;
    handles[number++] = 1;
    handles[number++] = UINT64_MAX;
    handles[number++] = UINT64_C(0x8000000000000000);
    handles[number++] = UINT64_C(0x00007fffdeadbee0);
    handles[number++] = UINT64_C(0x5a17c0de12345678);
    handles[number++] = ended;
    handles[number++] = closed;
    handles[number++] = freed;
    handles[number++] = live[(kind + 1) % 3];
    handles[number++] = live[(kind + 2) % 3];
    handles[number++] = live[kind] ^ 1;
    handles[number++] = live[kind] ^ (UINT64_C(1) << 63);
    handles[number++] = live[kind] ^ (UINT64_C(1) << 32);
    return number;
}

/* ---- Events --------------------------------------------------------------------------- */

SaEvtEventPatternT pattern_text(const char *text)
{
    SaEvtEventPatternT pattern;
    pattern.allocatedSize = 0;
    pattern.patternSize = strlen(text);
    pattern.pattern = (SaUint8T *)(uintptr_t)text;
    return pattern;
}

SaEvtEventHandleT event_new(SaEvtChannelHandleT channel)
{
    SaEvtEventHandleT event = 0;
    NEED_OK(saEvtEventAllocate(channel, &event));
    return event;
}

SaEvtEventHandleT event_with(SaEvtChannelHandleT channel, const char *text,
                             SaEvtEventPriorityT priority, SaTimeT retention_ns)
{
    SaEvtEventHandleT event = event_new(channel);
    SaEvtEventPatternT pattern = pattern_text(text != NULL ? text : "");
    SaEvtEventPatternArrayT patterns;
    patterns.allocatedNumber = 0;
    patterns.patternsNumber = 1;
    patterns.patterns = &pattern;
    NEED_OK(saEvtEventAttributesSet(event, text != NULL ? &patterns : NULL, priority,
                                    retention_ns, NULL));
    return event;
}

SaEvtEventIdT event_publish(SaEvtEventHandleT event, const void *data, size_t size)
{
    SaEvtEventIdT id = 0;
    NEED_OK(saEvtEventPublish(event, data, size, &id));
    CHECK(id > 1000);
    return id;
}

SaEvtEventIdT publish_text(SaEvtChannelHandleT channel, const char *text,
                           SaEvtEventPriorityT priority, SaTimeT retention_ns)
{
    SaEvtEventHandleT event = event_with(channel, text, priority, retention_ns);
    SaEvtEventIdT id = event_publish(event, text, strlen(text));
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    return id;
}

void settle(SaEvtHandleT library)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    NEED_OK(saEvtChannelUnlink(library, &name));
    NEED_OK(saEvtChannelClose(channel));
}
