/* Names of programs that are built with SA_EXTENDED_NAME_SOURCE. */
#define SA_EXTENDED_NAME_SOURCE 1
#include "evt_test.h"

#define LENGTH_OF_LONG_NAMES 0xcd2b

static void set_length(SaNameT *name, uint16_t length)
{
    memcpy(name, &length, sizeof length);
}

static uint16_t length_of(const SaNameT *name)
{
    uint16_t length;
    memcpy(&length, name, sizeof length);
    return length;
}

static char *value_of(SaNameT *name)
{
    return (char *)name + sizeof(uint16_t);
}

static void short_names_are_held_inside(void)
{
    char text[256];
    SaNameT name;
    size_t length;
    for (length = 0; length < 256; length += 51) {
        memset(text, 'n', sizeof text);
        text[length] = '\0';
        memset(&name, 0xff, sizeof name);
        saAisNameLend(text, &name);
        CHECK_EQ(length, length_of(&name));
        CHECK(memcmp(value_of(&name), text, length + 1) == 0);
        CHECK(saAisNameBorrow(&name) == value_of(&name));
        CHECK(strcmp(saAisNameBorrow(&name), text) == 0);
    }
}

static void long_names_stay_with_the_lender(void)
{
    char text[1000];
    static const size_t lengths[] = {256, 257, 999};
    size_t index;
    for (index = 0; index < 3; index++) {
        SaNameT name;
        SaConstStringT stored;
        memset(text, 'l', sizeof text);
        text[lengths[index]] = '\0';
        saAisNameLend(text, &name);
        CHECK_EQ(LENGTH_OF_LONG_NAMES, length_of(&name));
        CHECK(saAisNameBorrow(&name) == text);
        memcpy(&stored, (const char *)&name + sizeof(char *), sizeof stored);
        CHECK(stored == text);
    }
}

static void what_is_no_string_is_not_lent(void)
{
    SaNameT name;
    memset(&name, 'x', sizeof name);
    set_length(&name, 256);
    CHECK(saAisNameBorrow(&name) == NULL);
    set_length(&name, 300);
    CHECK(saAisNameBorrow(&name) == NULL);
    set_length(&name, 5); /* without a NUL behind */
    CHECK(saAisNameBorrow(&name) == NULL);
    value_of(&name)[5] = '\0';
    CHECK(saAisNameBorrow(&name) == value_of(&name));
    value_of(&name)[4] = '\0'; /* a NUL that the length counts */
    set_length(&name, 5);
    CHECK(saAisNameBorrow(&name) == value_of(&name));
}

/* The service takes short names as it takes those of other programs, and refuses long ones. */
static void the_service_takes_short_names_only(void)
{
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel = 0;
    SaEvtChannelHandleT other = 0;
    SaEvtEventHandleT event;
    char text[400];
    SaNameT name;
    SaNameT plain;
    snprintf(text, sizeof text, "%s", name_fresh_text());
    saAisNameLend(text, &name);
    name_text(&plain, text);
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpen(library, &name, OPEN_ALL, SA_TIME_MAX, &channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpen(library, &plain, OPEN_BOTH, SA_TIME_MAX, &other));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    event = event_new(channel);
    memset(text + strlen(text), 'x', sizeof text - 1 - strlen(text));
    text[sizeof text - 1] = '\0';
    saAisNameLend(text, &name);
    CHECK_EQ(LENGTH_OF_LONG_NAMES, length_of(&name));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM,
              saEvtChannelOpen(library, &name, OPEN_ALL, SA_TIME_MAX, &other));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtChannelOpenAsync(library, 1, &name, OPEN_ALL));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtEventAttributesSet(event, NULL, 0, 0, &name));
    /* A publisher name that the library writes can be borrowed. */
    saAisNameLend("publisher", &name);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesSet(event, NULL, 0, 0, &name));
    memset(&plain, 0xff, sizeof plain);
    CHECK_AIS(SA_AIS_OK, saEvtEventAttributesGet(event, NULL, NULL, NULL, &plain, NULL, NULL));
    CHECK_REC(saAisNameBorrow(&plain) != NULL
              && strcmp(saAisNameBorrow(&plain), "publisher") == 0);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    CHECK_EQ(258, sizeof(SaNameT));
    CHECK_EQ(256, SA_MAX_UNEXTENDED_NAME_LENGTH);
    short_names_are_held_inside();
    long_names_stay_with_the_lender();
    what_is_no_string_is_not_lent();
    the_service_takes_short_names_only();
    return test_end();
}
