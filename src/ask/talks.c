/* Conversations: what was asked and answered before, for whoever goes on. Bounded in number, in
 * turns and in bytes; the one that rested longest is forgotten first. */
#include "ask/ask_priv.h"

#include <string.h>
#include <sys/random.h>

enum { ID_BYTES = 16, TURN_BYTES = 4096 };

typedef struct {
  char *id, *owner, *stream;
  GArray *turns; /* of MnkTurnOfTalk */
} Talk;

struct _MnkTalks {
  GHashTable *by_id; /* id to its link in by_use */
  GQueue by_use;     /* of Talk; the one used last is first */
  guint talks_max, turns_max;
};

static void turn_clear(gpointer data) {
  MnkTurnOfTalk *turn = data;
  g_free(turn->question);
  g_free(turn->answer);
}

GArray *mnk_talk_turns_new(void) {
  GArray *turns = g_array_new(FALSE, FALSE, sizeof(MnkTurnOfTalk));
  g_array_set_clear_func(turns, turn_clear);
  return turns;
}

static void talk_free(gpointer data) {
  Talk *talk = data;
  g_free(talk->id);
  g_free(talk->owner);
  g_free(talk->stream);
  g_array_unref(talk->turns);
  g_free(talk);
}

MnkTalks *mnk_talks_new(void) {
  MnkTalks *talks = g_new0(MnkTalks, 1);
  talks->by_id = g_hash_table_new(g_str_hash, g_str_equal);
  return talks;
}

void mnk_talks_free(MnkTalks *talks) {
  if (!talks)
    return;
  g_hash_table_unref(talks->by_id);
  g_queue_clear_full(&talks->by_use, talk_free);
  g_free(talks);
}

static void forget_oldest(MnkTalks *talks) {
  while (talks->by_use.length > talks->talks_max) {
    Talk *talk = g_queue_pop_tail(&talks->by_use);
    g_hash_table_remove(talks->by_id, talk->id);
    talk_free(talk);
  }
}

void mnk_talks_set_limits(MnkTalks *talks, guint talks_max, guint turns_max) {
  talks->talks_max = turns_max > 0 ? talks_max : 0;
  talks->turns_max = turns_max;
  forget_oldest(talks);
}

guint mnk_talks_count(const MnkTalks *talks) {
  return talks->by_use.length;
}

char *mnk_ask_new_id(const char *prefix) {
  guint8 bytes[ID_BYTES];
  /* At most 256 bytes are given whole, or not at all. */
  if (getentropy(bytes, sizeof bytes) != 0)
    g_error("the system gives no random numbers");
  g_autofree char *text = g_base64_encode(bytes, sizeof bytes);
  g_strdelimit(text, "+", '-');
  g_strdelimit(text, "/", '_');
  text[strcspn(text, "=")] = '\0';
  return g_strconcat(prefix, text, NULL);
}

/* NULL: there is none for whoever asks. */
static GList *find(const MnkTalks *talks, const char *id, const char *owner, const char *stream) {
  GList *link = g_hash_table_lookup(talks->by_id, id);
  const Talk *talk = link ? link->data : NULL;
  return talk && g_str_equal(talk->owner, owner) && g_str_equal(talk->stream, stream) ? link : NULL;
}

static void use(MnkTalks *talks, GList *link) {
  g_queue_unlink(&talks->by_use, link);
  g_queue_push_head_link(&talks->by_use, link);
}

GArray *mnk_talks_turns(MnkTalks *talks, const char *id, const char *owner, const char *stream,
                        GError **error) {
  GList *link = find(talks, id, owner, stream);
  if (!link) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND,
                "there is no such conversation about this stream, or it has been forgotten");
    return NULL;
  }
  use(talks, link);
  const Talk *talk = link->data;
  GArray *turns = mnk_talk_turns_new();
  for (guint i = 0; i < talk->turns->len; i++) {
    const MnkTurnOfTalk *turn = &g_array_index(talk->turns, MnkTurnOfTalk, i);
    MnkTurnOfTalk copy = {g_strdup(turn->question), g_strdup(turn->answer)};
    g_array_append_val(turns, copy);
  }
  return turns;
}

static Talk *begin(MnkTalks *talks, const char *id, const char *owner, const char *stream) {
  Talk *talk = g_new0(Talk, 1);
  talk->id = id ? g_strdup(id) : mnk_ask_new_id("c-");
  talk->owner = g_strdup(owner);
  talk->stream = g_strdup(stream);
  talk->turns = mnk_talk_turns_new();
  g_queue_push_head(&talks->by_use, talk);
  g_hash_table_insert(talks->by_id, talk->id, talks->by_use.head);
  forget_oldest(talks);
  return talk;
}

/* At most so many bytes, cut between characters. */
static char *cut(const char *text) {
  gsize length = strlen(text);
  if (length <= TURN_BYTES)
    return g_strdup(text);
  const char *end = g_utf8_find_prev_char(text, text + TURN_BYTES + 1);
  return g_strndup(text, end ? (gsize)(end - text) : 0);
}

char *mnk_talks_add(MnkTalks *talks, const char *id, const char *owner, const char *stream,
                    const char *question, const char *answer) {
  if (talks->turns_max == 0 || talks->talks_max == 0)
    return NULL;
  GList *link = id ? find(talks, id, owner, stream) : NULL;
  if (link)
    use(talks, link);
  /* Forgotten while it was answered: it goes on from here, under its name. */
  Talk *talk = link ? link->data : begin(talks, id, owner, stream);
  MnkTurnOfTalk turn = {cut(question), cut(answer)};
  g_array_append_val(talk->turns, turn);
  if (talk->turns->len > talks->turns_max)
    g_array_remove_range(talk->turns, 0, talk->turns->len - talks->turns_max);
  return g_strdup(talk->id);
}
