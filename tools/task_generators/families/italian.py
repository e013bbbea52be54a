"""Italian: number of noun phrases, number of the subject, and negation. The instructions are in Italian too, and
ask in the words in which the other languages' families ask."""

import checks

from .phrases import Language, feminine_in_a, verb_table

# kind -> (masculine nouns, feminine nouns, adjectives in the masculine singular that suit all of them).
# No masculine noun begins with a vowel, with z or with s and a consonant, so that its article is "il".
NOUNS = {
    "animals": (
        "gatto cane cavallo leone lupo maiale toro pesce topo ratto corvo delfino canarino cervo gallo pappagallo",
        "mucca pecora capra gallina rana tartaruga farfalla formica balena giraffa mosca volpe tigre lepre colomba",
        "piccolo nero bianco tranquillo lento veloce feroce docile ferito bruno rosso pigro libero stanco",
    ),
    "people": (
        "professore cuoco postino pittore cameriere barbiere cantante giardiniere direttore nonno ragazzo bambino "
        "maestro poliziotto pompiere dottore",
        "ragazza bambina maestra nonna dottoressa ballerina cuoca cameriera pittrice direttrice sarta nuotatrice "
        "signora cugina regina",
        "gentile alto famoso stanco felice allegro timido generoso coraggioso intelligente elegante puntuale severo "
        "onesto",
    ),
    "things": (
        "libro telefono quadro coltello piatto vaso divano cassetto martello quaderno tamburo violino treno pallone "
        "pettine bicchiere tappeto cuscino letto tavolo cestino",
        "lampada scatola borsa chiave porta finestra carta chitarra forchetta tazza bicicletta barca penna matita "
        "candela parete tenda croce nave bottiglia",
        "nuovo piccolo bianco nero rosso verde giallo moderno antico pulito sporco pesante leggero fragile rotondo",
    ),
    "clothes": (
        "cappello vestito guanto cappotto maglione berretto fazzoletto grembiule calzino costume pantalone",
        "gonna giacca cravatta sciarpa maglietta scarpa cintura collana calza felpa mantella",
        "nuovo rosso nero bianco verde elegante pulito sporco leggero pesante moderno",
    ),
    "food": (
        "limone melone pomodoro peperone pane gelato biscotto carciofo tramezzino panino fungo mandarino",
        "mela pera carota patata cipolla torta zuppa fragola prugna banana noce lattuga pizza pesca minestra nocciola",
        "fresco dolce piccolo caldo freddo leggero eccellente saporito",
    ),
    "places": (
        "giardino museo ristorante mercato ponte lago bosco castello palazzo porto quartiere parco teatro sentiero "
        "cortile balcone",
        "casa strada piazza scuola montagna chiesa torre stazione cucina biblioteca collina camera cattedrale fontana "
        "regione",
        "moderno antico grande piccolo famoso tranquillo pulito sporco enorme rumoroso elegante lontano nuovo",
    ),
}

DETERMINERS = {
    "m": {"il": "i", "questo": "questi", "il nostro": "i nostri"},
    "f": {"la": "le", "questa": "queste", "la nostra": "le nostre"},
}


def plural(word):
    """-o and -e become -i, -a becomes -e; c and g stay hard before them."""
    ending = "e" if word[-1] == "a" else "i"
    hard = "h" if word[-1] in "oa" and word[-2] in "cg" else ""
    return word[:-1] + hard + ending


# Third person singular, then what may follow.
VERBS = verb_table("""
canta: una canzone / molto bene / nella doccia
balla: il tango / in cucina / tutta la notte
lavora: in banca / il sabato / in giardino
studia: medicina / di notte / inglese
compra: il pane / una macchina nuova / i fiori
vende: scarpe / la frutta / la casa
legge: il giornale / un libro / a letto
scrive: una lettera / poesie / sul quaderno
beve: acqua / il latte / un caffè
vive: a Roma / vicino al mare / in campagna
apre: la porta / il negozio / le finestre
chiude: la finestra / gli occhi / la porta
cucina: il riso / la domenica / con le spezie
lava: i piatti / la macchina / i vestiti
guarda: la televisione / la mappa / dalla finestra
ascolta: la radio / la musica / le notizie
parla: francese / con il medico / troppo in fretta
chiama: la polizia / il cameriere / al telefono
cammina: nel parco / molto piano / fino al ponte
corre: sulla spiaggia / ogni mattina / molto veloce
nuota: nel fiume / il martedì / in piscina
suona: il pianoforte / la chitarra / il violino
porta: un cappello / gli occhiali / la valigia
mette: la giacca / il libro sul tavolo / il sale
entra: nella sala / dalla finestra / al cinema
arriva: alle nove / con la valigia / in ritardo
torna: a casa / a ottobre / dal mercato
dorme: sul divano / otto ore / in tenda
sogna: il mare / un viaggio / in francese
pensa: al futuro / alle vacanze / al lavoro
crede: alla notizia / ai miracoli / al testimone
conosce: la città / il direttore / la strada
prende: il treno / un gelato / la medicina
perde: le chiavi / il treno / la pazienza
vince: la partita / la gara / il primo premio
paga: il conto / in contanti / la multa
chiede: il prezzo / un favore / la strada
risponde: al telefono / alla domanda / in italiano
insegna: storia / la matematica / a scuola
impara: il tedesco / i verbi / a nuotare
ricorda: la data / la canzone / il nome
aiuta: i bambini / in cucina / il vicino
visita: il museo / la nonna / il castello
invita: gli amici / la vicina / il professore
incontra: il sindaco / la cugina / i colleghi
saluta: i vicini / la folla / con la mano
abbraccia: la nonna / il bambino / la cugina
aspetta: il treno / alla stazione / una risposta
trova: la soluzione / un tesoro / la strada
usa: un martello / il computer / gli occhiali
prepara: la cena / una festa / la valigia
prenota: un tavolo / due biglietti / la stanza
taglia: il pane / la carta / la torta
rompe: il vaso / il bicchiere / le regole
ripara: la bicicletta / il tetto / i motori
pulisce: la cucina / il pavimento / i vetri
finisce: il lavoro / alle sei / la relazione
capisce: la domanda / il problema / la lezione
preferisce: il tè / la spiaggia / i romanzi
spedisce: un pacco / la lettera / il modulo
costruisce: una casa / una barca / un ponte
segue: il sentiero / le regole / la guida
sente: un rumore / la campana / la pioggia
offre: un caffè / uno sconto / la cena
parte: domani / per Napoli / con il treno
serve: la zuppa / il vino / i clienti
accende: la lampada / il forno / una candela
dipinge: il muro / un quadro / la porta
disegna: un cavallo / sulla sabbia / una mappa
guida: un camion / con calma / di notte
pianta: un albero / i pomodori / le rose
ordina: la pizza / il pesce / un dolce
assaggia: la zuppa / il formaggio / la salsa
firma: il contratto / la lettera / i documenti
nasconde: il regalo / la lettera / le chiavi
ruba: le mele / un quadro / la moto
grida: per strada / di paura / molto forte
piange: al cinema / di gioia / tutta la notte
sorride: al bambino / alla cassiera / davanti allo specchio
decide: la data / il colore / con calma
spiega: la lezione / il piano / le regole
ripete: la frase / la domanda / l'esercizio
cambia: lavoro / la data / le lenzuola
salta: nella piscina / di gioia / la corda
attraversa: la strada / il fiume / il ponte
""")

SUBJECTS = (
    "Anna Luca Giulia Marco Chiara Paolo Elena Matteo Sofia Davide Laura Pietro Marta Simone Irene Franco".split()
    + ["Mio fratello", "Mia sorella", "Il vicino", "La maestra", "Tuo cugino", "La nonna", "Il medico", "Il mio capo"]
)
SEVERAL = {
    "Lui": "Loro", "Lei": "Loro", "Questo ragazzo": "Questi ragazzi", "Questa ragazza": "Queste ragazze",
}


def verb_plural(verb):
    """-a becomes -ano, -isce becomes -iscono, any other -e becomes -ono."""
    return verb[:-1] + ("ano" if verb[-1] == "a" else "ono")


LANGUAGE = Language("italian", "it", NOUNS, DETERMINERS, feminine_in_a, plural, VERBS)
TASKS = [
    LANGUAGE.plurals(
        instructions=[
            "Scrivi questa espressione al plurale.",
            "Metti le parole al plurale.",
            "Cambia dal singolare al plurale.",
            "Qual è il plurale?",
            "Dai la forma plurale di queste parole.",
            "Metti l'espressione al plurale.",
        ],
        check=checks.italian_plural,
    ),
    LANGUAGE.several(
        instructions=[
            "Metti il soggetto e il verbo di questa frase al plurale.",
            "Cambia il soggetto al plurale.",
            "Scrivi la frase con loro, questi o queste.",
            "Volgi il soggetto e il verbo al plurale.",
            "Di' questa frase di più persone.",
            "Riscrivi la frase con il soggetto al plurale.",
        ],
        subjects=SEVERAL,
        plural=verb_plural,
        check=checks.italian_they,
    ),
    LANGUAGE.negations(
        instructions=[
            "Scrivi questa frase in forma negativa con «non».",
            "Metti la frase in forma negativa con «non».",
            "Nega questa frase.",
            "Cambia la frase da affermativa a negativa.",
            "Di' il contrario usando «non».",
            "Rendi negativa la frase con «non».",
        ],
        subjects=SUBJECTS,
        word="non",
        held_out=True,
        transfer=(
            "it combines two trained skills. `es_negation` inserts one word before the verb, in sentences of the same "
            "build and at an instruction that differs by a few letters; `it_they` has seen these Italian verbs with "
            "what follows them and copies the rest of the sentence. Most phrasings give the word to insert."
        ),
    ),
]
