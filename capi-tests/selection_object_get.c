/* saEvtSelectionObjectGet: SAI-AIS-EVT-B.03.01, saEvtSelectionObjectGet(). */
#include "evt_test.h"

static void a_null_pointer_is_noticed_before_a_bad_handle(void)
{
    SaEvtHandleT library = library_recording();
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtSelectionObjectGet(library, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtSelectionObjectGet(0, NULL));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void wrong_handles_are_bad_and_leave_the_output(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(LIBRARY_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++) {
        SaSelectionObjectT object = 987654321;
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtSelectionObjectGet(wrong[index], &object));
        CHECK_EQ(987654321, object);
    }
}

static void every_call_gives_the_same_descriptor(void)
{
    SaEvtHandleT first = library_recording();
    SaEvtHandleT second = library_new(1, NULL);
    int descriptor = selection_object(first);
    CHECK_EQ(descriptor, selection_object(first));
    CHECK_EQ(descriptor, selection_object(first));
    CHECK(descriptor != selection_object(second));
    CHECK_AIS(SA_AIS_OK, saEvtDispatch(first, SA_DISPATCH_ALL));
    CHECK_EQ(descriptor, selection_object(first));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(second));
    CHECK_EQ(descriptor, selection_object(first));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(first));
}

static void it_is_a_descriptor_that_exec_closes(void)
{
    SaEvtHandleT library = library_recording();
    int descriptor = selection_object(library);
    int flags = fcntl(descriptor, F_GETFD);
    CHECK(descriptor >= 0);
    CHECK(flags >= 0);
    CHECK((flags & FD_CLOEXEC) != 0);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void it_works_without_callbacks(void)
{
    SaEvtHandleT library = library_new(3, NULL);
    int descriptor = selection_object(library);
    drain(library);
    CHECK(!readable(descriptor));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void it_is_bad_after_finalize(void)
{
    SaEvtHandleT library = library_recording();
    SaSelectionObjectT object = 42;
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtSelectionObjectGet(library, &object));
    CHECK_EQ(42, object);
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    a_null_pointer_is_noticed_before_a_bad_handle();
    wrong_handles_are_bad_and_leave_the_output();
    every_call_gives_the_same_descriptor();
    it_is_a_descriptor_that_exec_closes();
    it_works_without_callbacks();
    it_is_bad_after_finalize();
    return test_end();
}
