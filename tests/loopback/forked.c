/* Holds an unlinked channel open, leaves a child behind, and waits to be killed. */
#include <saEvt.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void require(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "forked: %s\n", what);
        _exit(1);
    }
}

int main(void)
{
    SaVersionT version = { 'B', 3, 1 };
    SaEvtChannelOpenFlagsT flags = SA_EVT_CHANNEL_PUBLISHER | SA_EVT_CHANNEL_CREATE;
    SaEvtHandleT evt;
    SaEvtChannelHandleT channel;
    SaNameT name = { .length = 12 };
    pid_t child;
    char byte;

    memcpy(name.value, "safChnl=held", 12);
    require(saEvtInitialize(&evt, NULL, &version) == SA_AIS_OK, "no library handle");
    require(saEvtChannelOpen(evt, &name, flags, SA_TIME_MAX, &channel) == SA_AIS_OK, "no channel");
    require(saEvtChannelUnlink(evt, &name) == SA_AIS_OK, "not unlinked");
    child = fork();
    require(child >= 0, "no child");
    if (child > 0) {
        printf("! %ld\n", (long) child);
        fflush(stdout);
    }
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}
