/*
 * Publishes one event.
 *
 *   cc publisher.c -o publisher $(pkg-config --cflags --libs libSaEvt)
 *   ./publisher "the text that goes with the event"
 *
 * Start ./subscriber first to see it arrive. Nothing else has to be running.
 */
#include <saEvt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(SaAisErrorT code, const char *what)
{
    if (code != SA_AIS_OK) {
        fprintf(stderr, "publisher: %s: AIS error %d\n", what, (int)code);
        exit(EXIT_FAILURE);
    }
}

static SaNameT name_of(const char *text)
{
    SaNameT name = {.length = (SaUint16T)strlen(text)};
    memcpy(name.value, text, name.length);
    return name;
}

int main(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : "Hello";
    SaVersionT version = {'B', 3, 1};
    SaNameT channel_name = name_of("safChnl=examples"), publisher_name = name_of("publisher.c");
    SaEvtHandleT library;
    SaEvtChannelHandleT channel;
    SaEvtEventHandleT event;
    SaEvtEventIdT id;

    must(saEvtInitialize(&library, NULL, &version), "saEvtInitialize");
    must(saEvtChannelOpen(library, &channel_name,
                          SA_EVT_CHANNEL_CREATE | SA_EVT_CHANNEL_PUBLISHER,
                          5 * SA_TIME_ONE_SECOND, &channel),
         "saEvtChannelOpen");

    /* Subscribers select events by their patterns: here a kind and a place. */
    SaEvtEventPatternT patterns[] = {
        {.patternSize = 8, .pattern = (SaUint8T *)"greeting"},
        {.patternSize = 7, .pattern = (SaUint8T *)"kitchen"},
    };
    SaEvtEventPatternArrayT pattern_array = {.patternsNumber = 2, .patterns = patterns};
    must(saEvtEventAllocate(channel, &event), "saEvtEventAllocate");
    must(saEvtEventAttributesSet(event, &pattern_array, SA_EVT_LOWEST_PRIORITY, 0,
                                 &publisher_name),
         "saEvtEventAttributesSet");

    /* TRY_AGAIN: nothing was published, the service is busy. Every other error is final. */
    SaAisErrorT code;
    while ((code = saEvtEventPublish(event, text, strlen(text), &id)) == SA_AIS_ERR_TRY_AGAIN)
        usleep(10000);
    must(code, "saEvtEventPublish");
    printf("published event %llu\n", (unsigned long long)id);

    must(saEvtFinalize(library), "saEvtFinalize"); /* Closes the channel, frees the event. */
    return EXIT_SUCCESS;
}
