"""Text: patterns, tokens, templates, markup."""

from compat.registry import case, raises


@case("regex", "regex", exercised="patterns that re has not, substitution by a function that raises, time-outs, errors")
def regex() -> None:
    import regex

    assert regex.findall(r"\p{Lu}\p{Ll}+", "Anna Über Zoë " * 50)[1] == "Über"
    assert regex.fullmatch(r"(?:cats|dogs){e<=1}", "cots")
    assert regex.sub(r"\d+", lambda found: str(2 * int(found[0])), "1 22 333") == "2 44 666"

    def fail(_: object) -> str:
        raise LookupError("from a replacement")

    raises(LookupError, regex.sub, "a", fail, "banana")
    assert regex.match(r"(?<a>\w)+", "xyz").capturesdict() == {"a": ["x", "y", "z"]}
    raises(regex.error, regex.compile, "(unclosed")
    raises(TimeoutError, regex.search, "(?:a needle in hay){e<=5}", "hay" * 20_000, timeout=0.01)


@case("RapidFuzz", "rapidfuzz", exercised="ratios, extraction, a scorer in Python that raises, distances")
def rapidfuzz() -> None:
    from rapidfuzz import distance, fuzz, process

    words = [f"word{index}" for index in range(300)]
    assert fuzz.ratio("this is a test", "this is a test!") > 96
    assert process.extractOne("wrod17", words, scorer=fuzz.WRatio)[0].startswith("word")
    assert len(process.extract("word", words, limit=5, processor=str.upper)) == 5
    assert distance.Levenshtein.distance("kitten", "sitting") == 3
    assert distance.Levenshtein.editops("ab", "b")[0].tag == "delete"

    def scorer(*_: object, **__: object) -> float:
        raise LookupError("from a scorer")

    raises(LookupError, process.extract, "a", words, scorer=scorer)
    raises(TypeError, fuzz.ratio, 1, "a")


@case("charset-normalizer", "charset_normalizer", exercised="detection of encodings, of binary content")
def charset_normalizer() -> None:
    import charset_normalizer

    text = "Überraschend große Äpfel schmecken süß. Çà et là, des élèves naïfs. " * 20
    for encoding in ("utf-8", "utf-16", "cp1252"):
        best = charset_normalizer.from_bytes(text.encode(encoding)).best()
        assert best is not None
        assert "schmecken" in str(best)
    assert charset_normalizer.is_binary(bytes(range(256)) * 20)
    raises(TypeError, charset_normalizer.from_bytes, 5)


@case("Jinja2", exercised="templates with inheritance, filters that raise, sandbox, asyncio", with_=("MarkupSafe",))
def jinja2() -> None:
    import asyncio

    import jinja2
    import jinja2.sandbox

    def fail(_: object) -> str:
        raise LookupError("from a filter")

    pages = {
        "base": "<b>{% block x %}{% endblock %}</b>",
        "page": "{% extends 'base' %}{% block x %}{{ v }}{% endblock %}",
    }
    environment = jinja2.Environment(loader=jinja2.DictLoader(pages), autoescape=True)
    environment.filters["fail"] = fail
    assert environment.get_template("page").render(v="<&>") == "<b>&lt;&amp;&gt;</b>"
    raises(LookupError, environment.from_string("{{ 1|fail }}").render)
    raises(jinja2.TemplateSyntaxError, environment.from_string, "{% if %}")
    sandbox = jinja2.sandbox.SandboxedEnvironment()
    raises(jinja2.exceptions.SecurityError, sandbox.from_string("{{ ''.__class__.mro() }}").render)

    async def render() -> str:
        async_environment = jinja2.Environment(enable_async=True)
        return await async_environment.from_string("{% for i in items %}{{ i }}{% endfor %}").render_async(items=[1, 2])

    assert asyncio.run(render()) == "12"


@case("MarkupSafe", "markupsafe", exercised="escaping, formatting, objects that can't be escaped")
def markupsafe() -> None:
    import markupsafe

    assert markupsafe.escape("<a href='x'>&" * 100).count("&lt;") == 100
    assert markupsafe.Markup("<b>{}</b>").format("<") == "<b>&lt;</b>"

    class Broken:
        def __html__(self) -> str:
            raise LookupError("from __html__")

    raises(LookupError, markupsafe.escape, Broken())


@case("tokenizers", "tokenizers", exercised="a tokenizer trained, encoding in batches, saving and loading, errors")
def tokenizers() -> None:
    _tokenizers()


def _tokenizers() -> None:
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, trainers

    corpus = ["the quick brown fox", "jumps over the lazy dog", "grüße aus dem wald"] * 50
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    encodings = tokenizer.encode_batch(corpus)
    assert len(encodings) == len(corpus)
    assert tokenizer.decode(encodings[0].ids).replace(" ", "") == "thequickbrownfox"
    again = tokenizers.Tokenizer.from_str(tokenizer.to_str())
    assert again.encode(corpus[1]).ids == encodings[1].ids
    raises(Exception, tokenizers.Tokenizer.from_str, "{")
    raises(TypeError, tokenizer.encode, 5)

    def broken() -> object:
        yield "one"
        raise LookupError("from an iterator")

    raises(LookupError, tokenizer.train_from_iterator, broken(), trainer)


@case(
    "tokenizers without threads",
    exercised="the same with TOKENIZERS_PARALLELISM=false, and --extensions all",
    distribution="tokenizers",
    environment={"TOKENIZERS_PARALLELISM": "false"},
)
def tokenizers_without_threads() -> None:
    _tokenizers()


@case("tiktoken", "tiktoken", exercised="an encoding of its own, batches by threads, errors", with_=("regex",))
def tiktoken() -> None:
    import tiktoken

    ranks = {bytes([value]): value for value in range(256)} | {b"th": 256, b"the": 257}
    encoding = tiktoken.Encoding("own", pat_str=r"\w+|\W+", mergeable_ranks=ranks, special_tokens={"<end>": 300})
    assert encoding.encode("the") == [257]
    text = "the quick brown fox über <end>"
    assert encoding.decode(encoding.encode(text, allowed_special="all")) == text
    raises(ValueError, encoding.encode, text)
    assert len(encoding.encode_ordinary_batch([text] * 20, num_threads=2)) == 20
    raises(KeyError, encoding.decode, [10_000])


@case("sentencepiece", "sentencepiece", exercised="a model trained in memory, encoding and decoding, errors")
def sentencepiece() -> None:
    import io

    import sentencepiece

    model = io.BytesIO()
    lines = [f"the quick brown fox number {index} jumps over the lazy dog" for index in range(100)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    assert processor.decode(processor.encode(lines[7])) == lines[7]
    assert len(processor.encode(lines, out_type=str)) == 100
    raises(IndexError, processor.id_to_piece, 10_000)
    raises(RuntimeError, sentencepiece.SentencePieceProcessor, model_proto=b"nonsense")


@case("nh3", "nh3", exercised="cleaning HTML, filters in Python, errors")
def nh3() -> None:
    import nh3

    assert nh3.clean("<b onclick=x>bold</b><script>alert(1)</script>" * 20).count("<b>") == 20
    found = nh3.clean("<a href='/x'>y</a>", attribute_filter=lambda tag, name, value: value.upper(), link_rel=None)
    assert found == '<a href="/X">y</a>'
    assert nh3.clean_text("<") == "&lt;"
    raises(TypeError, nh3.clean, 5)


@case("selectolax", "selectolax", exercised="both parsers, CSS selectors, changes, errors")
def selectolax() -> None:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    page = LexborHTMLParser(
        "<ul>" + "".join(f"<li class=i id=n{index}>t{index}</li>" for index in range(100)) + "</ul>"
    )
    assert [node.text() for node in page.css("li.i")][42] == "t42"
    page.css_first("#n3").decompose()
    assert len(page.css("li")) == 99
    assert page.css_first("p") is None
    raises(SelectolaxError, page.css, "li[")
