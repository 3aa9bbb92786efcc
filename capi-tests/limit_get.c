/* saEvtLimitGet: SAI-AIS-EVT-B.03.01, saEvtLimitGet(). */
#include "evt_test.h"

static const SaEvtLimitIdT all_limits[] = {
    SA_EVT_MAX_NUM_CHANNELS_ID, SA_EVT_MAX_EVT_SIZE_ID,           SA_EVT_MAX_PATTERN_SIZE_ID,
    SA_EVT_MAX_NUM_PATTERNS_ID, SA_EVT_MAX_RETENTION_DURATION_ID,
};

static void the_checks_have_an_order(void)
{
    static const int unknown[] = {0, 6, -1, 0x7fffffff};
    SaEvtHandleT library = library_recording();
    SaEvtHandleT old = library_new(1, NULL);
    SaLimitValueT value;
    size_t index;
    value.uint64Value = 4711;
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtLimitGet(library, SA_EVT_MAX_EVT_SIZE_ID, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtLimitGet(0, SA_EVT_MAX_EVT_SIZE_ID, NULL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtLimitGet(old, SA_EVT_MAX_EVT_SIZE_ID, NULL));
    for (index = 0; index < 4; index++) {
        SaEvtLimitIdT id = (SaEvtLimitIdT)unknown[index];
        CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtLimitGet(library, id, &value));
        CHECK_AIS_REC(SA_AIS_ERR_BAD_HANDLE, saEvtLimitGet(0, id, &value));
        CHECK_AIS_REC(SA_AIS_ERR_VERSION, saEvtLimitGet(old, id, &value));
    }
    CHECK_EQ(4711, value.uint64Value);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(old));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(LIBRARY_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++) {
        SaLimitValueT value;
        value.uint64Value = 4711;
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE,
                  saEvtLimitGet(wrong[index], SA_EVT_MAX_NUM_PATTERNS_ID, &value));
        CHECK_EQ(4711, value.uint64Value);
    }
}

static void older_versions_do_not_have_it(void)
{
    SaUint8T major;
    for (major = 1; major <= 2; major++) {
        SaEvtHandleT old = library_new(major, NULL);
        size_t index;
        for (index = 0; index < 5; index++) {
            SaLimitValueT value;
            value.uint64Value = 4711;
            CHECK_AIS_REC(SA_AIS_ERR_VERSION, saEvtLimitGet(old, all_limits[index], &value));
            CHECK_EQ_REC(4711, value.uint64Value);
        }
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(old));
    }
}

/* The least that a useful library offers, and the same on every call and handle. */
static void the_limits_are_useful_and_constant(void)
{
    static const SaUint64T least[] = {1024, 65536, 255, 10, UINT64_C(100000000000000)};
    static const SaUint64T chosen[] = {1024, 65536, 256, 16, UINT64_C(100000000000000)};
    SaEvtHandleT first = library_recording();
    SaEvtHandleT second = library_new(3, NULL);
    size_t index;
    for (index = 0; index < 5; index++) {
        SaUint64T value = limit(first, all_limits[index]);
        CHECK(value >= least[index]);
        CHECK_REC(value >= chosen[index]);
        CHECK_EQ(value, limit(first, all_limits[index]));
        CHECK_EQ(value, limit(second, all_limits[index]));
    }
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(first));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(second));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    the_checks_have_an_order();
    wrong_handles_are_bad();
    older_versions_do_not_have_it();
    the_limits_are_useful_and_constant();
    return test_end();
}
