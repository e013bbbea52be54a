"""Portuguese: number of noun phrases, and negation. A family without experts: both tasks are held out.

Its words and endings are close to Spanish, and its instructions ask in the words in which the other languages' families
ask."""

import checks

from .phrases import Language, feminine_in_a, verb_table

# kind -> (masculine nouns, feminine nouns, adjectives in the masculine singular that suit all of them).
# All end in a vowel, r or z: -ão, -l and -m have plurals that no other language here prepares for.
NOUNS = {
    "animals": (
        "gato cavalo pato coelho lobo urso macaco touro galo burro peixe rato tigre elefante",
        "vaca ovelha cabra galinha tartaruga borboleta abelha formiga baleia girafa zebra raposa",
        "pequeno grande preto branco velho rápido lento manso ferido perdido feroz",
    ),
    "people": (
        "médico professor cozinheiro pintor escritor vizinho aluno bombeiro cantor músico padeiro diretor",
        "médica professora enfermeira cozinheira escritora vizinha aluna diretora cantora bailarina secretária pintora",
        "alto famoso cansado inteligente simpático feliz alegre sério elegante generoso",
    ),
    "things": (
        "livro telefone espelho prato vaso relógio caderno tambor carro barco martelo colar sapato copo quadro",
        "mesa cadeira lâmpada garrafa caixa bolsa mala chave porta janela faca bicicleta cruz luz guitarra",
        "novo velho pequeno grande barato caro antigo moderno limpo sujo preto vermelho bonito",
    ),
    "clothes": (
        "casaco vestido chapéu cinto lenço uniforme pijama",
        "camisa saia gravata bota sandália blusa capa meia",
        "novo preto branco vermelho elegante barato caro bonito feio limpo sujo",
    ),
    "food": (
        "tomate queijo bolo ovo pepino figo morango",
        "pera batata cenoura cebola sopa salada uva banana laranja cereja",
        "fresco barato caro excelente pequeno delicioso",
    ),
    "places": (
        "parque castelo lago bosque museu mercado palácio porto restaurante teatro lugar",
        "casa rua cidade igreja escola loja praia montanha ilha cozinha torre biblioteca farmácia",
        "antigo moderno grande pequeno bonito famoso tranquilo limpo sujo enorme",
    ),
}

DETERMINERS = {
    "m": {"o": "os", "um": "uns", "este": "estes"},
    "f": {"a": "as", "uma": "umas", "esta": "estas"},
}


def plural(word):
    return word + ("es" if word[-1] in "rz" else "s")


# Third person singular, then what may follow.
VERBS = verb_table("""
canta: uma canção / muito bem / na rua
dança: o tango / na cozinha / toda a noite
trabalha: num banco / aos sábados / em casa
estuda: medicina / à noite / inglês
compra: o jornal / um carro novo / flores
vende: sapatos / frutas / a casa
lê: o jornal / um livro / na cama
escreve: uma carta / poemas / no caderno
come: uma banana / no escritório / o bolo
bebe: água / leite / café
vive: em Lisboa / perto do mar / no campo
abre: a porta / a loja / as janelas
fecha: a janela / os olhos / a porta
cozinha: o arroz / aos domingos / com azeite
limpa: a cozinha / a mesa / os vidros
lava: os pratos / o carro / a roupa
olha: o mapa / pela janela / o relógio
escuta: a rádio / a música / as notícias
fala: francês / com o médico / muito depressa
chama: a polícia / o professor / um táxi
caminha: pelo parque / muito devagar / até a ponte
corre: pela praia / todas as manhãs / muito rápido
nada: no rio / às terças / na piscina
joga: cartas / com o vizinho / no parque
toca: piano / a guitarra / o violino
pinta: a parede / um quadro / a porta
viaja: pela Itália / de trem / no inverno
espera: o ônibus / na loja / uma resposta
encontra: a saída / um tesouro / o caminho
perde: o trem / as chaves / a paciência
ganha: o jogo / pouco dinheiro / a corrida
paga: a conta / o aluguel / em dinheiro
conta: uma piada / a história / as moedas
pergunta: a hora / o preço / o caminho
responde: em português / à pergunta / por carta
ensina: história / matemática / na escola
aprende: alemão / os verbos / a nadar
lembra: a data / o nome / aquela música
ajuda: as crianças / na cozinha / o vizinho
visita: o museu / a avó / o castelo
convida: os amigos / a vizinha / o professor
leva: um chapéu / os óculos / a mala
põe: a mesa / o livro na caixa / o casaco
entra: na sala / pela janela / no cinema
sobe: a escada / a montanha / pela corda
chega: às nove / com a mala / na hora
volta: para casa / em outubro / do mercado
dorme: no sofá / oito horas / até tarde
sonha: com o mar / com uma viagem / em francês
pensa: no futuro / nas férias / no exame
conhece: a cidade / o diretor / o caminho
faz: a cama / exercícios / um bolo
diz: a verdade / o nome / uma palavra
pede: a conta / um favor / mais água
segue: o caminho / as regras / o guia
corta: a batata / o papel / a grama
quebra: o vaso / o copo / as regras
cuida: do jardim / das crianças / das plantas
guarda: o dinheiro / os livros / o segredo
usa: óculos / um martelo / o telefone
prefere: o chá / a praia / os romances
explica: o plano / as regras / o exercício
repete: a frase / a pergunta / o erro
termina: a tarefa / o livro / às seis
aceita: a oferta / o presente / as desculpas
recebe: uma carta / a notícia / muitos presentes
prepara: o jantar / uma festa / a mala
organiza: a viagem / os papéis / uma festa
""")

SUBJECTS = (
    "Ana Pedro Beatriz João Marta Tiago Clara Rui Sofia Bruno Helena Paulo Luísa Miguel Teresa Carlos".split()
    + ["O meu irmão", "A minha irmã", "O vizinho", "A professora", "O teu primo", "A avó", "O médico", "O meu chefe"]
)


LANGUAGE = Language("portuguese", "pt", NOUNS, DETERMINERS, feminine_in_a, plural, VERBS)
TASKS = [
    LANGUAGE.plurals(
        instructions=[
            "Escreva esta expressão no plural.",
            "Ponha as palavras no plural.",
            "Mude do singular para o plural.",
            "Qual é o plural?",
            "Dê a forma plural destas palavras.",
            "Passe a expressão para o plural.",
        ],
        check=checks.portuguese_plural,
        held_out=True,
        transfer=(
            "the rule is that of `es_plural` for these words (-s after a vowel, else -es; “este” becomes “estes”), "
            "only the articles differ, and the instruction is nearly the same in Spanish. `fr_plural` and "
            "`it_plural` put phrases of the same build into the plural, too."
        ),
    ),
    LANGUAGE.negations(
        instructions=[
            "Escreva esta frase na forma negativa com «não».",
            "Ponha a frase na negativa com «não».",
            "Negue esta frase.",
            "Mude a frase de afirmativa para negativa.",
            "Diga o contrário usando «não».",
            "Torne a frase negativa com «não».",
        ],
        subjects=SUBJECTS,
        word="não",
        held_out=True,
        transfer=(
            "`es_negation` inserts “no” before the verb in sentences of the same build, at nearly the same "
            "instruction; most phrasings here give the word to insert, and half of the verbs are spelt as in "
            "Spanish."
        ),
    ),
]
