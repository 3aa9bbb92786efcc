/* saEvtInitialize: SAI-AIS-EVT-B.03.01, saEvtInitialize(). */
#include "evt_test.h"

static SaVersionT version_of(int release, int major, int minor)
{
    SaVersionT version;
    version.releaseCode = (SaUint8T)release;
    version.majorVersion = (SaUint8T)major;
    version.minorVersion = (SaUint8T)minor;
    return version;
}

static int version_is(const SaVersionT *version, int release, int major, int minor)
{
    return version->releaseCode == release && version->majorVersion == major &&
           version->minorVersion == minor;
}

static void null_pointers_are_invalid_and_leave_the_version(void)
{
    SaVersionT version = version_of('B', 1, 7);
    SaEvtHandleT library = 77;
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtInitialize(NULL, NULL, &version));
    CHECK(version_is(&version, 'B', 1, 7));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtInitialize(&library, NULL, NULL));
    CHECK_EQ(77, library);
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtInitialize(NULL, NULL, NULL));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
              saEvtInitialize(NULL, &recording_callbacks, NULL));
}

static void a_null_pointer_is_noticed_before_a_wrong_version(void)
{
    SaVersionT version = version_of('A', 9, 9);
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtInitialize(NULL, NULL, &version));
    CHECK(version_is(&version, 'A', 9, 9));
}

static void supported_versions_answer_the_highest(void)
{
    static const int wanted[][2] = {
        {1, 1}, {1, 0}, {1, 2}, {1, 255}, {3, 1}, {3, 0}, {3, 2}, {3, 255},
    };
    size_t index;
    for (index = 0; index < sizeof wanted / sizeof wanted[0]; index++) {
        SaVersionT version;
        SaEvtHandleT library = 0;
        CHECK_AIS(SA_AIS_OK, (version = version_of('B', wanted[index][0], wanted[index][1]),
                              saEvtInitialize(&library, NULL, &version)));
        CHECK(version_is(&version, 'B', 3, 1));
        CHECK(library != 0);
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    }
}

/* B.02 is refused by the libraries in the field, B.00 by one of them. */
static void majors_zero_and_two_are_supported(void)
{
    static const int majors[] = {0, 2};
    size_t index;
    for (index = 0; index < 2; index++) {
        SaVersionT version;
        SaEvtHandleT library = 0;
        CHECK_AIS_REC(SA_AIS_OK, (version = version_of('B', majors[index], 1),
                                  saEvtInitialize(&library, NULL, &version)));
        CHECK_REC(version_is(&version, 'B', 3, 1));
        CHECK_AIS_REC(SA_AIS_OK, saEvtFinalize(library));
    }
}

static void other_versions_are_refused_and_answered_with_ours(void)
{
    static const int wanted[][3] = {
        {'B', 4, 1}, {'B', 4, 0}, {'B', 5, 1}, {'B', 127, 1}, {'B', 255, 255}, {'A', 1, 1},
        {'A', 3, 1}, {'C', 1, 1}, {'C', 0, 0}, {'a', 1, 1},   {'b', 3, 1},     {0, 0, 0},
        {0, 1, 1},   {255, 1, 1}, {'Z', 3, 1}, {1, 'B', 1},
    };
    size_t index;
    for (index = 0; index < sizeof wanted / sizeof wanted[0]; index++) {
        SaVersionT version = version_of(wanted[index][0], wanted[index][1], wanted[index][2]);
        SaEvtHandleT library = 4711;
        CHECK_EQ(SA_AIS_ERR_VERSION, saEvtInitialize(&library, &recording_callbacks, &version));
        CHECK(version_is(&version, 'B', 3, 1));
        CHECK_EQ(4711, library);
    }
}

static void the_answer_can_be_used_for_the_next_call(void)
{
    SaVersionT version = version_of('C', 1, 1);
    SaEvtHandleT library = 0;
    CHECK_EQ(SA_AIS_ERR_VERSION, saEvtInitialize(&library, NULL, &version));
    CHECK_AIS(SA_AIS_OK, saEvtInitialize(&library, NULL, &version));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void the_wanted_version_governs_the_handle(void)
{
    /* After success the structure says B.03.01; the handle stays one of B.01. */
    SaLimitValueT value;
    SaEvtHandleT old = library_new(1, NULL);
    SaEvtHandleT present = library_new(3, NULL);
    CHECK_AIS_REC(SA_AIS_ERR_VERSION, saEvtLimitGet(old, SA_EVT_MAX_EVT_SIZE_ID, &value));
    CHECK_AIS(SA_AIS_OK, saEvtLimitGet(present, SA_EVT_MAX_EVT_SIZE_ID, &value));
    CHECK_AIS_REC(SA_AIS_ERR_VERSION, saEvtLimitGet(old, SA_EVT_MAX_EVT_SIZE_ID, &value));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(old));
    CHECK_AIS(SA_AIS_OK, saEvtLimitGet(present, SA_EVT_MAX_EVT_SIZE_ID, &value));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(present));
}

static void callbacks_may_be_missing(void)
{
    SaEvtCallbacksT callbacks = {NULL, NULL};
    SaEvtHandleT library;
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library_new(1, NULL)));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library_new(3, &callbacks)));
    callbacks.saEvtEventDeliverCallback = recording_callbacks.saEvtEventDeliverCallback;
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library_new(3, &callbacks)));
    callbacks.saEvtEventDeliverCallback = NULL;
    callbacks.saEvtChannelOpenCallback = recording_callbacks.saEvtChannelOpenCallback;
    library = library_new(1, &callbacks);
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(library, SA_DISPATCH_ALL));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void the_callback_structure_is_copied(void)
{
    SaEvtCallbacksT *callbacks = malloc(sizeof *callbacks);
    SaNameT name;
    SaEvtChannelHandleT channel;
    SaEvtHandleT library;
    NEED(callbacks != NULL);
    *callbacks = recording_callbacks;
    library = library_new(3, callbacks);
    memset(callbacks, 0, sizeof *callbacks);
    free(callbacks);
    channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    publish_text(channel, "copied", LOWEST, 0);
    EXPECT_TEXTS(library, "copied");
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void every_call_makes_an_independent_handle(void)
{
    enum { NUMBER = 12 };
    SaEvtHandleT libraries[NUMBER];
    size_t index;
    size_t other;
    for (index = 0; index < NUMBER; index++) {
        libraries[index] = library_recording();
        for (other = 0; other < index; other++) {
            CHECK(libraries[index] != libraries[other]);
            CHECK(selection_object(libraries[index]) != selection_object(libraries[other]));
        }
    }
    for (index = 0; index < NUMBER; index++) {
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(libraries[index]));
        for (other = index + 1; other < NUMBER; other++)
            CHECK_AIS(SA_AIS_OK, saEvtDispatch(libraries[other], SA_DISPATCH_ALL));
    }
}

static void before_the_first_initialize_handles_are_bad(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = 0;
    SaSelectionObjectT object = 0;
    name_fresh(&name);
    CHECK_EQ(SA_AIS_ERR_BAD_HANDLE, saEvtFinalize(0));
    CHECK_EQ(SA_AIS_ERR_BAD_HANDLE, saEvtFinalize(1));
    CHECK_EQ(SA_AIS_ERR_BAD_HANDLE, saEvtSelectionObjectGet(1, &object));
    CHECK_EQ(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(1, SA_DISPATCH_ALL));
    CHECK_EQ(SA_AIS_ERR_BAD_HANDLE,
             saEvtChannelOpen(1, &name, OPEN_ALL, SA_TIME_MAX, &channel));
    CHECK_EQ(SA_AIS_ERR_BAD_HANDLE, saEvtChannelClose(1));
    CHECK_EQ(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(1));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    before_the_first_initialize_handles_are_bad();
    null_pointers_are_invalid_and_leave_the_version();
    a_null_pointer_is_noticed_before_a_wrong_version();
    other_versions_are_refused_and_answered_with_ours();
    supported_versions_answer_the_highest();
    majors_zero_and_two_are_supported();
    the_answer_can_be_used_for_the_next_call();
    the_wanted_version_governs_the_handle();
    callbacks_may_be_missing();
    the_callback_structure_is_copied();
    every_call_makes_an_independent_handle();
    before_the_first_initialize_handles_are_bad(); /* also after the last finalize */
    return test_end();
}
