#include "vlm/prompt_priv.h"

#include <string.h>

#include "vlm/spell_priv.h"

enum {
  TURNS_MAX = 1024,
  PLACE_MAX = 1 << 20,
  HASH_ROWS = 16, /* rows of tokens that are hashed at once */
};

typedef struct {
  const MnkVlm *vlm;
  const MnkVlmRequest *request;
  MnkVlmPrompt *prompt;
  guint pending;    /* words that are in no chunk yet: the last ones of ids */
  gint32 last_time; /* of the last chunk's last item */
  GChecksum *sum;   /* of all there is, while it is in the prefix; NULL: it is past */
  GError **error;
} Builder;

static gboolean fail(const Builder *b, const char *what) {
  g_set_error(b->error, MNK_ERROR, MNK_ERROR_INTERNAL, "a request to the model is wrong: %s", what);
  return FALSE;
}

/* ---- Chunks ---- */

static void add_chunk(Builder *b, MnkVlmChunk chunk, gint32 last_time) {
  GArray *chunks = b->prompt->chunks;
  chunk.restart = chunks->len;
  if (chunks->len > 0 && chunk.position <= b->last_time)
    chunk.restart = g_array_index(chunks, MnkVlmChunk, chunks->len - 1).restart;
  g_array_append_val(chunks, chunk);
  b->last_time = last_time;
  b->prompt->items += chunk.n;
}

static void flush_words(Builder *b) {
  MnkVlmPrompt *prompt = b->prompt;
  guint first = prompt->ids->len - b->pending;
  if (b->sum && b->pending > 0)
    g_checksum_update(b->sum, (const guchar *)&g_array_index(prompt->ids, llama_token, first),
                      (gssize)(b->pending * sizeof(llama_token)));
  while (b->pending > 0) {
    guint n = MIN(b->pending, b->vlm->word_batch);
    gint32 last = prompt->next + (gint32)n - 1;
    add_chunk(b, (MnkVlmChunk){.first = first, .n = n, .position = prompt->next}, last);
    prompt->next = last + 1;
    first += n;
    b->pending -= n;
  }
}

static void add_words(Builder *b, const GArray *ids) {
  if (ids->len == 0)
    return;
  g_array_append_vals(b->prompt->ids, ids->data, ids->len);
  b->pending += ids->len;
}

/* ---- Tokens ---- */

static MnkVlmPlace place_of(const Builder *b, const MnkVlmPart *part, guint i, guint columns) {
  gint32 base = b->prompt->next;
  if (part->places)
    return (MnkVlmPlace){base + part->places[i][0], base + part->places[i][1],
                         base + part->places[i][2]};
  return (MnkVlmPlace){base, base + (gint32)(i / columns), base + (gint32)(i % columns)};
}

static gboolean check_places(const Builder *b, const MnkVlmPart *part, guint n) {
  gint32 before = 0;
  for (guint i = 0; part->places && i < n; i++) {
    for (guint axis = 0; axis < 3; axis++)
      if (part->places[i][axis] < 0 || part->places[i][axis] > PLACE_MAX)
        return fail(b, "a token is out of place");
    if (part->places[i][0] < before)
      return fail(b, "time goes back within a part");
    before = part->places[i][0];
  }
  return TRUE;
}

static void hash_tokens(Builder *b, const MnkVlmPart *part, guint n) {
  guint dim = mnk_tokens_dim(part->tokens);
  guint32 shape[] = {G_MAXUINT32, n, dim, mnk_tokens_columns(part->tokens)};
  g_autofree float *rows = g_new(float, (gsize)HASH_ROWS *dim);
  g_checksum_update(b->sum, (const guchar *)shape, sizeof shape);
  if (part->places)
    g_checksum_update(b->sum, (const guchar *)part->places, (gssize)(n * sizeof *part->places));
  for (guint first = 0; first < n; first += HASH_ROWS) {
    guint some = MIN(n - first, HASH_ROWS);
    mnk_tokens_read(part->tokens, first, some, rows);
    g_checksum_update(b->sum, (const guchar *)rows, (gssize)((gsize)some * dim * sizeof *rows));
  }
}

/* Three positions a token, or as words have them. */
static void lay_out(Builder *b, const MnkVlmPart *part, guint n) {
  MnkVlmPrompt *prompt = b->prompt;
  guint columns = mnk_tokens_columns(part->tokens);
  guint first_place = prompt->places->len;
  gint32 end = prompt->next;
  for (guint i = 0; b->vlm->m_rope && i < n; i++) {
    MnkVlmPlace place = place_of(b, part, i, columns > 0 ? columns : n);
    g_array_append_val(prompt->places, place);
    end = MAX(end, MAX(place.time, MAX(place.row, place.column)) + 1);
  }
  for (guint first = 0; first < n; first += b->vlm->token_batch) {
    MnkVlmChunk chunk = {
        .tokens = part->tokens, .first = first, .n = MIN(n - first, b->vlm->token_batch)};
    chunk.position = prompt->next + (gint32)first;
    gint32 last = chunk.position + (gint32)chunk.n - 1;
    if (b->vlm->m_rope) {
      const MnkVlmPlace *places = &g_array_index(prompt->places, MnkVlmPlace, first_place + first);
      chunk.places = first_place + first;
      chunk.position = places[0].time;
      last = places[chunk.n - 1].time;
    }
    add_chunk(b, chunk, last);
  }
  prompt->next = b->vlm->m_rope ? end : prompt->next + (gint32)n;
  prompt->visual += n;
}

static gboolean add_tokens(Builder *b, const MnkVlmPart *part) {
  if (!part->tokens || mnk_tokens_dim(part->tokens) != b->vlm->files.dim)
    return fail(b, "tokens are of another width than the model's");
  guint n = mnk_tokens_count(part->tokens);
  if (!check_places(b, part, n))
    return FALSE;
  add_words(b, b->vlm->markers.begin);
  flush_words(b);
  if (b->sum)
    hash_tokens(b, part, n);
  g_ptr_array_add(b->prompt->held, mnk_tokens_ref(part->tokens));
  lay_out(b, part, n);
  add_words(b, b->vlm->markers.end);
  return TRUE;
}

/* ---- Parts ---- */

static void add_text(Builder *b, const char *text) {
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(llama_token));
  mnk_vlm_spell(b->vlm, text, ids);
  add_words(b, ids);
}

static gboolean add_part(Builder *b, guint i) {
  const MnkVlmPart *part = &b->request->parts[i];
  if (part->kind == MNK_VLM_TOKENS) {
    if (!add_tokens(b, part))
      return FALSE;
  } else if (part->text) {
    add_text(b, part->text);
  }
  if (!b->sum || i >= b->request->prefix)
    return TRUE;
  flush_words(b);
  MnkVlmMark mark = {.chunk = b->prompt->chunks->len, .items = b->prompt->items};
  gsize length = sizeof mark.hash;
  g_autoptr(GChecksum) so_far = g_checksum_copy(b->sum);
  g_checksum_get_digest(so_far, mark.hash, &length);
  g_array_append_val(b->prompt->marks, mark);
  if (i + 1 == b->request->prefix)
    g_clear_pointer(&b->sum, g_checksum_free);
  return TRUE;
}

/* Which turn each part is in; the roles of all turns. A part of no turn begins one of the user. */
static GArray *find_turns(const Builder *b, guint *turn_of) {
  GArray *roles = g_array_new(FALSE, FALSE, sizeof(MnkVlmRole));
  gboolean in_user = FALSE;
  for (guint i = 0; i < b->request->n_parts; i++) {
    MnkVlmPartKind kind = b->request->parts[i].kind;
    MnkVlmRole role = kind == MNK_VLM_SYSTEM      ? MNK_VLM_ROLE_SYSTEM
                      : kind == MNK_VLM_ASSISTANT ? MNK_VLM_ROLE_ASSISTANT
                                                  : MNK_VLM_ROLE_USER;
    if (role != MNK_VLM_ROLE_USER || kind == MNK_VLM_USER || !in_user)
      g_array_append_val(roles, role);
    in_user = role == MNK_VLM_ROLE_USER;
    turn_of[i] = roles->len - 1;
  }
  return roles;
}

static gboolean check_order(const Builder *b, const GArray *roles) {
  if (b->request->n_parts == 0)
    return fail(b, "it has no parts");
  if (roles->len > TURNS_MAX)
    return fail(b, "it has too many turns");
  for (guint i = 1; i < roles->len; i++)
    if (g_array_index(roles, MnkVlmRole, i) == MNK_VLM_ROLE_SYSTEM)
      return fail(b, "a system text is not the first part");
  return TRUE;
}

static void begin_text(Builder *b) {
  llama_token begin = llama_vocab_bos(b->vlm->vocab);
  if (!llama_vocab_get_add_bos(b->vlm->vocab) || begin == LLAMA_TOKEN_NULL)
    return;
  g_array_append_val(b->prompt->ids, begin);
  b->pending++;
}

static void add_template(Builder *b, const char *text) {
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(llama_token));
  mnk_vlm_spell_template(b->vlm, text, ids);
  add_words(b, ids);
}

static gboolean build(Builder *b) {
  g_autofree guint *turn_of = g_new0(guint, MAX(b->request->n_parts, 1));
  g_autoptr(GArray) roles = find_turns(b, turn_of);
  if (!check_order(b, roles))
    return FALSE;
  g_auto(GStrv) around =
      mnk_vlm_template(b->vlm, (const MnkVlmRole *)(gpointer)roles->data, roles->len, b->error);
  if (!around)
    return FALSE;
  begin_text(b);
  for (guint i = 0; i < b->request->n_parts; i++) {
    if (i == 0 || turn_of[i] != turn_of[i - 1])
      add_template(b, around[turn_of[i]]);
    if (!add_part(b, i))
      return FALSE;
  }
  add_template(b, around[roles->len]);
  flush_words(b);
  return TRUE;
}

/* ---- Prompt ---- */

MnkVlmPrompt *mnk_vlm_prompt_new(const MnkVlm *vlm, const MnkVlmRequest *request, GError **error) {
  g_autoptr(MnkVlmPrompt) prompt = g_new0(MnkVlmPrompt, 1);
  prompt->ids = g_array_new(FALSE, FALSE, sizeof(llama_token));
  prompt->places = g_array_new(FALSE, FALSE, sizeof(MnkVlmPlace));
  prompt->held = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_tokens_unref);
  prompt->chunks = g_array_new(FALSE, FALSE, sizeof(MnkVlmChunk));
  prompt->marks = g_array_new(FALSE, FALSE, sizeof(MnkVlmMark));
  Builder builder = {
      .vlm = vlm,
      .request = request,
      .prompt = prompt,
      .last_time = -1,
      .sum = request->prefix > 0 ? g_checksum_new(G_CHECKSUM_SHA256) : NULL,
      .error = error,
  };
  gboolean ok = build(&builder);
  g_clear_pointer(&builder.sum, g_checksum_free);
  return ok ? g_steal_pointer(&prompt) : NULL;
}

void mnk_vlm_prompt_free(MnkVlmPrompt *prompt) {
  g_array_unref(prompt->ids);
  g_array_unref(prompt->places);
  g_ptr_array_unref(prompt->held);
  g_array_unref(prompt->chunks);
  g_array_unref(prompt->marks);
  g_free(prompt);
}

void mnk_vlm_prompt_append(const MnkVlm *vlm, MnkVlmPrompt *prompt, const llama_token *ids,
                           guint n) {
  guint first = prompt->ids->len;
  g_array_append_vals(prompt->ids, ids, n);
  for (guint done = 0; done < n; done += vlm->word_batch) {
    guint some = MIN(n - done, vlm->word_batch);
    MnkVlmChunk chunk = {
        .first = first + done,
        .n = some,
        .position = prompt->next,
        .restart = prompt->chunks->len,
    };
    g_array_append_val(prompt->chunks, chunk);
    prompt->next += (gint32)some;
    prompt->items += some;
  }
}
