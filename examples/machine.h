/*
 * What machine_monitor, operator_console and late_viewer agree on, and the few lines they share.
 *
 * Each event has three patterns: its topic ("state.load", "process.exit", ...), the host it speaks
 * of, and how bad it is ("normal", "warning", "critical"). Its data is one line of text.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <poll.h>
#include <saEvt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MACHINE_CHANNEL "safChnl=machine"
#define TOPIC_STOPPED "monitor.stopped"

enum { PATTERN_TOPIC, PATTERN_HOST, PATTERN_SEVERITY, PATTERNS };
enum { TEXT_BYTES_MAX = 256 };

/* Colours when a person looks on, plain text for files and pipes. */
struct palette {
    const char *dim, *bold, *good, *warn, *bad, *off;
};

static inline struct palette palette(void)
{
    static const struct palette colours = {"\033[2m",  "\033[1m",    "\033[32m",
                                           "\033[33m", "\033[1;31m", "\033[0m"};
    static const struct palette plain = {"", "", "", "", "", ""};
    if (getenv("NO_COLOR") != NULL)
        return plain;
    return isatty(STDOUT_FILENO) || getenv("CLICOLOR_FORCE") != NULL ? colours : plain;
}

static inline void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static inline void must(SaAisErrorT code, const char *what)
{
    if (code != SA_AIS_OK)
        fail("%s: AIS error %d", what, (int)code);
}

static inline void pause_ms(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* The service may be starting: TRY_AGAIN means exactly that, so ask again for a while. */
static inline SaEvtHandleT initialize(const SaEvtCallbacksT *callbacks)
{
    SaEvtHandleT library = 0;
    SaAisErrorT code = SA_AIS_ERR_TRY_AGAIN;
    for (int attempt = 0; attempt < 100 && code == SA_AIS_ERR_TRY_AGAIN; attempt++) {
        SaVersionT version = {'B', 3, 1};
        code = saEvtInitialize(&library, callbacks, &version);
        if (code == SA_AIS_ERR_TRY_AGAIN)
            pause_ms(100);
    }
    must(code, "saEvtInitialize");
    return library;
}

static inline SaEvtChannelHandleT open_machine(SaEvtHandleT library, SaEvtChannelOpenFlagsT flags)
{
    SaNameT name = {.length = sizeof MACHINE_CHANNEL - 1, .value = MACHINE_CHANNEL};
    SaEvtChannelHandleT channel;
    must(saEvtChannelOpen(library, &name, flags, 10 * SA_TIME_ONE_SECOND, &channel),
         "saEvtChannelOpen");
    return channel;
}

/* A received event, copied out of the service's hands. */
struct report {
    char pattern[PATTERNS][TEXT_BYTES_MAX];
    char text[TEXT_BYTES_MAX];
    SaEvtEventPriorityT priority;
    SaTimeT retention, published;
    SaEvtEventIdT id;
};

/* Reads one event into buffers of our own, and frees it. */
static inline struct report take_report(SaEvtEventHandleT event)
{
    struct report report;
    SaEvtEventPatternT patterns[PATTERNS];
    SaEvtEventPatternArrayT array = {.allocatedNumber = PATTERNS, .patterns = patterns};
    SaSizeT bytes = TEXT_BYTES_MAX - 1;

    memset(&report, 0, sizeof report); /* Patterns and text are strings of C from here on. */
    for (int i = 0; i < PATTERNS; i++) {
        patterns[i].allocatedSize = TEXT_BYTES_MAX - 1;
        patterns[i].pattern = (SaUint8T *)report.pattern[i];
    }
    must(saEvtEventAttributesGet(event, &array, &report.priority, &report.retention, NULL,
                                 &report.published, &report.id),
         "saEvtEventAttributesGet");
    must(saEvtEventDataGet(event, report.text, &bytes), "saEvtEventDataGet");
    must(saEvtEventFree(event), "saEvtEventFree");
    return report;
}

/* One filter of a subscription; a NULL text lets every pattern pass. */
static inline SaEvtEventFilterT filter(SaEvtEventFilterTypeT type, const char *text)
{
    SaEvtEventFilterT result = {.filterType = text != NULL ? type : SA_EVT_PASS_ALL_FILTER};
    result.filter.patternSize = text != NULL ? strlen(text) : 0;
    result.filter.pattern = (SaUint8T *)text;
    return result;
}

static inline const char *severity_colour(const struct palette *colours, const char *severity)
{
    if (strcmp(severity, "critical") == 0)
        return colours->bad;
    return strcmp(severity, "warning") == 0 ? colours->warn : colours->good;
}

/* Waits until a callback is pending, for at most so many milliseconds; -1 is for ever. */
static inline int is_ready(SaEvtHandleT library, int milliseconds)
{
    SaSelectionObjectT selection;
    must(saEvtSelectionObjectGet(library, &selection), "saEvtSelectionObjectGet");
    struct pollfd ready = {.fd = (int)selection, .events = POLLIN};
    return poll(&ready, 1, milliseconds) > 0;
}

#endif
