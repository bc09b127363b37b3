#include "data/sentencepiece.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

void set(char *message, const char *text) { std::snprintf(message, SR_SPM_MESSAGE, "%s", text); }

/* Feeds the trainer from a C callback, one line ahead. */
class Lines final : public sentencepiece::SentenceIterator {
  public:
    Lines(sr_spm_next next, void *user) : next_(next), user_(user) { Next(); }
    bool done() const override { return state_ != 1; }
    void Next() override {
        const char *line = nullptr;
        size_t n = 0;
        state_ = next_(user_, &line, &n);
        if (state_ == 1) line_.assign(line, n);
    }
    const std::string &value() const override { return line_; }
    sentencepiece::util::Status status() const override { return {}; }
    bool stopped() const { return state_ < 0; }

  private:
    sr_spm_next next_;
    void *user_;
    std::string line_;
    int state_ = 0;
};

} // namespace

extern "C" void *sr_spm_load(const void *data, size_t size, char message[SR_SPM_MESSAGE]) {
    try {
        auto model = std::make_unique<sentencepiece::SentencePieceProcessor>();
        auto status = model->LoadFromSerializedProto({static_cast<const char *>(data), size});
        if (status.ok()) return model.release();
        set(message, status.error_message());
    } catch (const std::exception &e) {
        set(message, e.what());
    } catch (...) {
        set(message, "unknown exception");
    }
    return nullptr;
}

extern "C" void sr_spm_unload(void *model) {
    delete static_cast<sentencepiece::SentencePieceProcessor *>(model);
}

extern "C" int sr_spm_encode(const void *model, const char *text, size_t n,
                             int (*take)(void *user, const int *ids, size_t count), void *user) {
    try {
        std::vector<int> ids;
        auto m = static_cast<const sentencepiece::SentencePieceProcessor *>(model);
        if (!m->Encode({text, n}, &ids).ok()) return -1;
        return take(user, ids.data(), ids.size());
    } catch (...) {
        return -1;
    }
}

extern "C" int sr_spm_train(int bpe, int32_t pieces, sr_spm_next next, void *user, char **data,
                            size_t *size, char message[SR_SPM_MESSAGE]) {
    /* The number of threads is fixed: sums over threads decide ties, so it is part of the result.
     */
    const std::unordered_map<std::string, std::string> settings = {
        {"model_type", bpe ? "bpe" : "unigram"},
        {"vocab_size", std::to_string(pieces)},
        {"byte_fallback", "true"},
        {"normalization_rule_name", "identity"},
        {"add_dummy_prefix", "false"},
        {"remove_extra_whitespaces", "false"},
        {"allow_whitespace_only_pieces", "true"},
        {"split_digits", "true"},
        {"unk_id", "0"},
        {"bos_id", "-1"},
        {"eos_id", "-1"},
        {"pad_id", "-1"},
        {"shuffle_input_sentence", "false"},
        {"max_sentence_length", "8192"},
        {"num_threads", "8"},
        {"minloglevel", "3"},
    };
    try {
        Lines lines(next, user);
        std::string model;
        auto status = sentencepiece::SentencePieceTrainer::Train(settings, &lines, &model);
        if (lines.stopped()) return 2;
        if (!status.ok()) {
            set(message, status.error_message());
            return 1;
        }
        *data = static_cast<char *>(std::malloc(model.size() + 1));
        *size = model.size();
        if (*data != nullptr) {
            std::memcpy(*data, model.data(), model.size());
            return 0;
        }
        set(message, "out of memory");
    } catch (const std::exception &e) {
        set(message, e.what());
    } catch (...) {
        set(message, "unknown exception");
    }
    return 1;
}
