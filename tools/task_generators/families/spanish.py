"""Spanish: number of noun phrases, negation, and number of the subject. The instructions are in Spanish too."""

import checks

from .phrases import Language, feminine_in_a, verb_table

# kind -> (masculine nouns, feminine nouns, adjectives in the masculine singular that suit all of them).
# No feminine noun here begins with a stressed a, which would change its article.
NOUNS = {
    "animals": (
        "gato perro caballo pájaro pez ratón león tigre oso lobo zorro conejo pato gallo toro burro mono elefante "
        "delfín loro cangrejo caracol camello cocodrilo tiburón cisne erizo",
        "vaca oveja cabra gallina rana tortuga serpiente mariposa abeja hormiga ballena jirafa cebra paloma mosca "
        "yegua ardilla gaviota foca pantera cigüeña",
        "pequeño grande negro blanco gris viejo salvaje tranquilo rápido lento hermoso dócil herido perdido marrón "
        "veloz feroz",
    ),
    "people": (
        "médico profesor abogado cocinero cartero pintor escritor camarero vecino alumno bombero ingeniero actor "
        "cantante músico panadero jardinero conductor periodista carpintero",
        "doctora profesora enfermera abogada bailarina actriz maestra cocinera escritora vecina alumna directora "
        "pianista dentista pintora arquitecta secretaria peluquera campesina",
        "amable alto cansado famoso inteligente simpático feliz alegre serio puntual español trabajador elegante "
        "tímido generoso valiente",
    ),
    "things": (
        "libro reloj teléfono ordenador espejo cuadro cuchillo plato vaso sillón cajón jarrón papel lápiz bolígrafo "
        "cuaderno tambor violín piano barco coche camión tren avión balón martillo cepillo colchón sofá",
        "mesa silla lámpara botella caja bolsa maleta llave puerta ventana carpeta tarjeta pantalla cámara guitarra "
        "flauta cuchara taza bicicleta moto pared cruz luz cama alfombra estantería",
        "nuevo viejo pequeño grande barato caro antiguo moderno limpio sucio útil azul rojo verde amarillo frágil "
        "gris",
    ),
    "clothes": (
        "abrigo sombrero zapato vestido guante calcetín pantalón cinturón pañuelo collar anillo bolso chaleco "
        "bañador delantal uniforme disfraz",
        "camisa falda chaqueta bufanda corbata camiseta gorra bota sandalia pulsera blusa capa manta toalla sudadera",
        "nuevo rojo azul blanco negro verde elegante barato caro bonito feo gris sucio limpio marrón gastado",
    ),
    "food": (
        "limón melón tomate pimiento pan pastel queso huevo plátano helado yogur bocadillo melocotón pepino "
        "champiñón jamón bombón",
        "manzana pera naranja patata zanahoria cebolla galleta sopa ensalada tortilla fresa uva salchicha lechuga "
        "aceituna nuez cereza ciruela sandía",
        "delicioso fresco barato caro excelente pequeño grande horrible sabroso",
    ),
    "places": (
        "pueblo parque jardín hotel restaurante museo hospital mercado puente río lago bosque salón balcón edificio "
        "castillo palacio camino aeropuerto puerto valle desierto rincón callejón hostal pabellón",
        "casa calle plaza ciudad iglesia escuela tienda playa montaña isla estación oficina habitación cocina torre "
        "universidad biblioteca farmacia panadería catedral región avenida mansión",
        "antiguo moderno grande pequeño bonito famoso tranquilo limpio sucio hermoso enorme feo lejano nuevo viejo "
        "agradable",
    ),
    "ideas": (
        "problema poema viaje sueño plan error consejo ejercicio mensaje programa sistema tema examen proyecto "
        "informe discurso artículo dibujo juego trabajo método capítulo refrán",
        "idea pregunta respuesta canción película novela noticia lección decisión opinión palabra frase historia "
        "carta reunión discusión conversación explicación solución razón tradición costumbre tarea",
        "difícil fácil importante interesante largo corto nuevo útil sencillo curioso necesario extraño normal "
        "especial",
    ),
}

DETERMINERS = {
    "m": {"el": "los", "un": "unos", "este": "estos"},
    "f": {"la": "las", "una": "unas", "esta": "estas"},
}

IRREGULAR_PLURALS = {"examen": "exámenes"}
FEMININES = {"español": "española", "trabajador": "trabajadora"}
ACCENTS = str.maketrans("áéíóú", "aeiou")


def plural(word):
    """The plural of a noun or adjective: -s after a vowel, else -es, where z becomes c and a final accent goes."""
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    if word[-1] in "aeiouáéó":
        return word + "s"
    if word.endswith("z"):
        return word[:-1] + "ces"
    if word[-2] in "áéíóú" and word[-1] in "ns":
        return word[:-2] + word[-2:].translate(ACCENTS) + "es"
    return word + "es"


def feminine(adjective):
    if adjective in FEMININES:
        return FEMININES[adjective]
    return feminine_in_a(adjective)


# Third person singular of a verb, then what may follow. The third person plural of all of them adds -n.
VERBS = verb_table("""
canta: una canción / muy bien / en la ducha
baila: tango / en la cocina / toda la noche
trabaja: en un banco / los sábados / en casa
estudia: medicina / por la noche / inglés
compra: pan / un coche nuevo / flores
vende: zapatos / fruta / la casa
lee: el periódico / un libro / en la cama
escribe: una carta / poemas / en el cuaderno
come: manzanas / en la oficina / pescado
bebe: agua / leche / café
vive: en Madrid / cerca del mar / en el campo
abre: la puerta / la tienda / las ventanas
cierra: la ventana / los ojos / la puerta
cocina: arroz / los domingos / con aceite
limpia: la cocina / el suelo / los cristales
lava: los platos / el coche / la ropa
mira: la televisión / el mapa / por la ventana
escucha: la radio / música / las noticias
habla: francés / con el médico / muy rápido
llama: a la policía / por teléfono / al camarero
camina: por el parque / muy despacio / hasta el puente
corre: por la playa / cada mañana / muy rápido
nada: en el río / los martes / en la piscina
juega: al tenis / con el perro / a las cartas
toca: el piano / la guitarra / el violín
pinta: la pared / un cuadro / la puerta
dibuja: un caballo / en la arena / un mapa
viaja: a Italia / en tren / en verano
conduce: un camión / con cuidado / de noche
espera: el autobús / en la estación / una respuesta
busca: las llaves / trabajo / un hotel
encuentra: la solución / un tesoro / el camino
pierde: el tren / las gafas / el paraguas
gana: el partido / poco dinero / la carrera
paga: la cuenta / en efectivo / el alquiler
cuenta: un chiste / la historia / el dinero
pregunta: la hora / por el precio / el camino
responde: en español / a la pregunta / por correo
enseña: historia / matemáticas / las fotos
aprende: alemán / a nadar / los verbos
olvida: la cita / el nombre / las llaves
recuerda: el accidente / la fecha / esa canción
ayuda: a los niños / en la cocina / al vecino
visita: el museo / a la abuela / el castillo
invita: a los amigos / al profesor / a la vecina
lleva: un sombrero / gafas / la maleta
trae: el postre / buenas noticias / la leche
pone: la mesa / la radio / el libro en la mesa
sale: de casa / con los amigos / a las ocho
entra: en la sala / por la ventana / en el cine
sube: la escalera / al tren / a la montaña
baja: al sótano / del autobús / la persiana
llega: a las nueve / al aeropuerto / con la maleta
vuelve: a casa / en octubre / del mercado
duerme: en el sofá / ocho horas / la siesta
sueña: con el mar / con un viaje / en francés
piensa: en el futuro / en las vacaciones / en el examen
cree: la noticia / en los milagros / al testigo
sabe: la verdad / la respuesta / nadar
conoce: la ciudad / al director / el camino
quiere: un helado / más tiempo / otro café
puede: venir mañana / abrir la caja / nadar
tiene: dos gatos / mucha suerte / hambre
hace: la cama / deporte / un pastel
dice: la verdad / una mentira / adiós
oye: la campana / un ruido / la lluvia
ve: una película / el mar / los barcos
da: un paseo / las gracias / una clase
pide: la cuenta / un favor / más pan
sirve: la cena / el vino / la sopa
sigue: el camino / las reglas / al guía
elige: un color / el postre / la camisa azul
corta: el pan / la hierba / el papel
rompe: el vaso / la carta / las reglas
arregla: la bicicleta / el reloj / el techo
construye: una casa / un barco / un puente
cuida: el jardín / a los niños / las plantas
planta: un árbol / tomates / rosas
riega: las flores / el jardín / las plantas
recoge: las hojas / la mesa / los juguetes
guarda: el dinero / los libros / el secreto
usa: el ordenador / un martillo / gafas
necesita: ayuda / un lápiz / más tiempo
prefiere: el té / la playa / viajar en tren
odia: el ruido / los lunes / la lluvia
ama: la música / el mar / los animales
teme: la oscuridad / al perro / las tormentas
entiende: la pregunta / el problema / italiano
explica: la lección / las reglas / el plan
repite: la frase / el ejercicio / la pregunta
termina: la tarea / el informe / a las seis
empieza: el curso / a las diez / un libro
acepta: la oferta / el regalo / las condiciones
rechaza: la oferta / la invitación / el plan
firma: el contrato / la carta / los papeles
envía: un paquete / la carta / un mensaje
recibe: una carta / muchos regalos / la noticia
alquila: un piso / una bicicleta / un barco
viste: ropa negra / un traje / al bebé
fuma: en el balcón / puros / después de cenar
respira: aire puro / por la boca / con calma
descansa: en el sofá / los domingos / una hora
desayuna: en el bar / pan con aceite / muy tarde
cena: a las nueve / en casa / una sopa
almuerza: en la oficina / con los colegas / a la una
celebra: la victoria / la Navidad / el cumpleaños
prepara: la cena / el examen / una fiesta
organiza: una fiesta / el viaje / los papeles
reserva: una mesa / dos billetes / la habitación
cambia: de trabajo / la fecha / las sábanas
mueve: la mesa / los brazos / la silla
tira: la basura / una piedra / el papel
levanta: la mano / una caja / las pesas
empuja: el coche / la puerta / el carro
carga: las cajas / el móvil / el camión
salta: la valla / de alegría / al agua
cruza: la calle / el río / el puente
aparca: en la plaza / el coche / delante del cine
repara: motores / el tejado / zapatos
fabrica: muebles / juguetes / jabón
pesca: en el lago / truchas / con una red
caza: ratones / en el bosque / mariposas
colecciona: sellos / monedas / conchas
observa: las estrellas / los pájaros / el cielo
describe: el cuadro / la escena / al ladrón
traduce: el texto / novelas / del alemán
publica: un artículo / fotos / la noticia
dirige: una orquesta / la empresa / el hospital
representa: a la ciudad / un papel / al club
cultiva: arroz / tomates / la tierra
barre: la calle / el patio / las hojas
plancha: las camisas / la falda / por la tarde
cose: un botón / la falda / a mano
dobla: la ropa / el mapa / las sábanas
mezcla: los colores / la harina / la masa
prueba: la sopa / el queso / la tarta
bate: los huevos / la nata / el récord
calienta: la leche / la comida / el agua
quema: las cartas / la leña / los papeles
apaga: la luz / el fuego / el televisor
enciende: la lámpara / el horno / una vela
cuelga: el cuadro / la chaqueta / el teléfono
esconde: el regalo / la carta / las llaves
roba: un banco / manzanas / el coche
miente: al juez / muy mal / otra vez
grita: en la calle / de miedo / muy fuerte
llora: en el cine / de alegría / por la noche
sonríe: a la cámara / con timidez / al bebé
saluda: a los vecinos / con la mano / al jefe
abraza: a la abuela / al niño / el árbol
besa: a la novia / la foto / al bebé
discute: con el jefe / de política / el precio
protesta: en la plaza / contra la ley / en voz alta
vota: por la mañana / en el colegio / a favor
decide: la fecha / el color / con calma
comprende: el problema / la situación / el texto
resuelve: el misterio / el problema / la ecuación
calcula: el precio / la distancia / los gastos
mide: la mesa / dos metros / la temperatura
pesa: la fruta / setenta kilos / las maletas
merece: un premio / más respeto / unas vacaciones
ofrece: un café / ayuda / un descuento
promete: un regalo / volver pronto / cambiar
permite: las visitas / el cambio / fumar en el patio
interrumpe: la reunión / la clase / al profesor
persigue: al ladrón / un sueño / la pelota
defiende: la ciudad / al acusado / los derechos
""")

NAMES = "Ana Luis Carmen Pedro Lucía Jorge Marta Pablo Elena Diego Sofía Raúl Clara Andrés Irene Javier".split()
OTHERS = ["Mi hermano", "Mi hermana", "El vecino", "La profesora", "Tu primo", "La abuela", "El médico", "Mi jefe"]
PRONOUNS = {"Él": "Ellos", "Ella": "Ellas", "Usted": "Ustedes"}


LANGUAGE = Language("spanish", "es", NOUNS, DETERMINERS, feminine, plural, VERBS)
TASKS = [
    LANGUAGE.plurals(
        instructions=[
            "Escribe esta expresión en plural.",
            "Pon las palabras en plural.",
            "Cambia del singular al plural.",
            "¿Cuál es el plural?",
            "Da la forma plural de estas palabras.",
            "Pasa la expresión al plural.",
        ],
        check=checks.spanish_plural,
    ),
    LANGUAGE.negations(
        instructions=[
            "Escribe esta frase en forma negativa.",
            "Pon la frase en negativo.",
            "Niega esta frase.",
            "Cambia la frase de afirmativa a negativa.",
            "Di lo contrario usando «no».",
            "Haz negativa la frase.",
        ],
        subjects=NAMES + OTHERS,
        word="no",
    ),
    LANGUAGE.several(
        instructions=[
            "Pon el sujeto y el verbo de esta frase en plural.",
            "Cambia el sujeto al plural.",
            "Escribe la frase con ellos, ellas o ustedes.",
            "Pasa el sujeto y el verbo al plural.",
            "Di esta frase de varias personas.",
            "Reescribe la frase con el sujeto en plural.",
        ],
        subjects=PRONOUNS,
        plural=lambda verb: verb + "n",
        check=checks.spanish_they,
    ),
]
